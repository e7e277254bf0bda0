"""RTP over RTSP's own TCP connection (RFC 2326, 10.12): finding packets, moving their clock. Standard library only."""

import re
import struct

_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_RTP_CLOCK_HZ = 90_000


class Interleaved:
    """Cuts the server's bytes into replies and packets; bytes come in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def units(self, data: bytes) -> list[bytes]:
        """The replies and packets (with their four bytes of `$` header) that are complete by now."""
        self._rest += data
        found: list[bytes] = []
        while (length := _unit_length(self._rest)) is not None and length <= len(self._rest):
            found.append(self._rest[:length])
            self._rest = self._rest[length:]
        return found


def is_rtp(unit: bytes) -> bool:
    """Whether it is a media packet: even channels carry RTP, odd ones RTCP."""
    return unit[:1] == b"$" and unit[1] % 2 == 0 and len(unit) >= 16


def with_later_clock(unit: bytes, jump_s: float) -> bytes:
    """The RTP packet with its timestamp moved by `jump_s`, modulo 2^32 ticks of 1/90000 s (RFC 6184, 8.1)."""
    (ticks,) = struct.unpack_from(">I", unit, 8)
    return unit[:8] + struct.pack(">I", (ticks + round(jump_s * _RTP_CLOCK_HZ)) % (1 << 32)) + unit[12:]


def _unit_length(data: bytes) -> int | None:
    """Bytes of the first unit, None if that is not known yet."""
    if data[:1] == b"$":
        return 4 + struct.unpack_from(">H", data, 2)[0] if len(data) >= 4 else None
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    body = _LENGTH.search(data[:end])
    return end + 4 + (int(body.group(1)) if body else 0)
