"""A cheap look whether a camera is there, so that one that comes back is opened at once and not a long wait later."""

import contextlib
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

Presence = Callable[[], bool]
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_TIMEOUT_S = 0.5


def always_there() -> bool:
    """For cameras that cannot be looked for: only time tells."""
    return True


def presence_of(spec: str) -> Presence:
    """A device is there if its file is, a stream if its host takes connections."""
    if "://" in spec:
        parts = urlsplit(spec)
        return partial(_answers, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80))
    return partial(_exists, Path(f"/dev/video{spec}" if spec.isdecimal() else spec))


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), _TIMEOUT_S):
        return True
    return False


def _exists(path: Path) -> bool:
    return path.exists()
