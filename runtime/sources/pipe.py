"""Reading a named pipe without hanging in it: whoever writes into it may not be there, or stop."""

import os
import select
import time

from vr.runtime.errors import StreamError

_POLL_MS = 100
_CHUNK = 4096


class Pipe:
    """A named pipe as a file for PyAV. `read` raises StreamError once nothing came for `timeout_s`."""

    def __init__(self, path: str, timeout_s: float) -> None:
        """Opens it, writer or not. Raises OSError."""
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._timeout_s = timeout_s
        self._poll = select.poll()
        self._poll.register(self._handle, select.POLLIN)
        self._ahead = b""

    def peek(self) -> bytes:
        """What comes first, without taking it away."""
        self._ahead = self._ahead or self.read(_CHUNK)
        return self._ahead

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as they come; b"" once the writer has closed it."""
        if self._ahead:
            ahead, self._ahead = self._ahead[:size], self._ahead[size:]
            return ahead
        end_s = time.monotonic() + self._timeout_s
        while not self._poll.poll(_POLL_MS):
            if time.monotonic() > end_s:
                raise StreamError(f"nothing was written into the pipe for {self._timeout_s:g} s")
        return os.read(self._handle, size)

    def close(self) -> None:
        """May be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
