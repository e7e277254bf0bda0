"""Telling a service manager how it goes: the protocol of sd_notify(3), without its library."""

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Notifier:
    """address: of a datagram socket, abstract if it begins with a zero byte. watchdog_s: how long the manager waits for
    a sign of life, None for ever.
    """

    address: str
    watchdog_s: float | None = None

    @staticmethod
    def from_environment() -> "Notifier | None":
        """The manager that $NOTIFY_SOCKET names, None if this process has none."""
        address = os.environ.get("NOTIFY_SOCKET", "")
        if address[:1] not in ("/", "@") or not hasattr(socket, "AF_UNIX"):
            return None
        return Notifier("\0" + address[1:] if address[0] == "@" else address, _watchdog_s())

    def send(self, **fields: str | int) -> bool:
        """Sends `KEY=value` lines, for example `send(READY=1)`; False if the manager does not take them."""
        text = "\n".join(f"{key}={' '.join(str(value).split())}" for key, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(1.0)
                channel.sendto(text.encode(), self.address)
        except OSError:
            return False
        return True


def _watchdog_s() -> float | None:
    """$WATCHDOG_USEC, if it is meant for this process."""
    text, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(text) / 1e6
