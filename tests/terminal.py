"""A command in a terminal of its own: what it writes, and what the terminal shows of it at the end."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Terminal:
    """Runs a command on a new pseudo-terminal; stdout too, unless it is given a file."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int] = (30, 100),
        stdout: Path | None = None,
    ) -> None:
        """size: rows and columns."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self._file = None if stdout is None else stdout.open("wb")
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs if self._file is None else self._file,
            stderr=theirs,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        )
        os.close(theirs)
        self.written = b""

    def read(self, seconds: float) -> None:
        """Adds what is written in so many seconds to `written`, or until the end."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if not select.select([self._ours], [], [], left_s)[0]:
                return
            try:
                chunk = os.read(self._ours, 65536)
            except OSError:
                return
            if not chunk:
                return
            self.written += chunk

    def read_until(self, text: str, patience_s: float = 60.0) -> None:
        """Reads until the text has been written, colours and the like left out."""
        end_s = time.monotonic() + patience_s
        while text not in plain(self.written):
            assert time.monotonic() < end_s, f"no {text!r} within {patience_s:g} s: {plain(self.written)[-2000:]}"
            self.read(0.1)

    def wait(self, patience_s: float = 30.0) -> int:
        """Exit code; reads to the end meanwhile."""
        end_s = time.monotonic() + patience_s
        while self.process.poll() is None and time.monotonic() < end_s:
            self.read(0.1)
        self.read(0.2)
        return self.process.wait(1.0)

    def close(self) -> None:
        """Ends the command if it still runs."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        if self._file is not None:
            self._file.close()


def plain(written: bytes) -> str:
    """The text without control sequences, in the order of writing."""
    return _SEQUENCE.sub("", written.decode(errors="replace"))


def screen_of(written: bytes, rows: int = 1000) -> list[str]:
    """The lines that a terminal of many rows shows in the end: of its controls those that move up, to the beginning of
    the line, and erase.
    """
    lines, row, column, text = [""] * rows, 0, 0, written.decode(errors="replace")
    at = 0
    while at < len(text):
        found = _SEQUENCE.match(text, at)
        if found:
            count = int(found[1] or 1) if (found[1] or "1").isdecimal() else 1
            if found[2] == "A":
                row = max(0, row - count)
            elif found[2] == "K":
                lines[row] = "" if found[1] == "2" else lines[row][:column]
            at = found.end()
            continue
        character = text[at]
        if character == "\n":
            row += 1
        elif character == "\r":
            column = 0
        elif character >= " ":
            lines[row] = lines[row].ljust(column)[:column] + character + lines[row][column + 1 :]
            column += 1
        at += 1
    while lines and not lines[-1]:
        lines.pop()
    return lines


def shows_cursor(written: bytes) -> bool:
    """Whether the cursor, once it was hidden, has been shown again."""
    return written.rfind(b"\x1b[?25h") >= written.rfind(b"\x1b[?25l")
