"""Errors that a user can cause and repair.

    VrError
    ├── InputError    a file, folder, frame or option is not what was expected
    ├── ModelError    an ONNX file or checkpoint cannot be used
    ├── StreamError   a camera or video cannot be opened, or stopped
    └── OutputError   a result cannot be written

Every message says what was wrong, what was expected, and what to do. The commands print it in one line and
exit with code 2; nothing else of the package raises anything on purpose.
"""


class VrError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 2


class InputError(VrError):
    """A file, folder, frame or option is not what was expected."""


class ModelError(VrError):
    """An ONNX file or a checkpoint cannot be used."""


class StreamError(VrError):
    """A camera or video cannot be opened, or stopped giving frames."""


class OutputError(VrError):
    """A result cannot be written."""
