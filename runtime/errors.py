"""Errors that a user can cause and repair.

    VrError
    ├── InputError    a file, folder, frame or option is not what was expected
    │   └── Mistakes  several at once
    ├── ModelError    an ONNX file or checkpoint cannot be used
    ├── StreamError   a camera or video cannot be opened, or stopped
    └── OutputError   a result cannot be written

Every message says what was wrong, what was expected, and what to do. The commands print it in one line and
exit with code 2; nothing else of the package raises anything on purpose.
"""

from collections.abc import Sequence


class VrError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 2

    @property
    def messages(self) -> Sequence[str]:
        """What to print, one line each."""
        return (str(self),)


class InputError(VrError):
    """A file, folder, frame or option is not what was expected."""


class Mistakes(InputError):
    """Several things are wrong with one input, at least one."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self._mistakes = tuple(mistakes)

    @property
    def messages(self) -> Sequence[str]:
        """See `VrError`."""
        return self._mistakes


class ModelError(VrError):
    """An ONNX file or a checkpoint cannot be used."""


class StreamError(VrError):
    """A camera or video cannot be opened, or stopped giving frames."""


class OutputError(VrError):
    """A result cannot be written."""
