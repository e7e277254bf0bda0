"""How the three commands end: one line on stderr for what a user can repair, and never a traceback for it."""

import errno
import importlib.util
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from vr.runtime.errors import InputError, VrError

EXIT_INTERRUPTED = 130


def run(app: typer.Typer, words: Sequence[str] | None = None) -> None:
    """Runs a command line, `words` or that of the process; always ends in SystemExit.

    Exit codes: 0 done; 2 a VrError, printed as one line `error: ...` on stderr (one for each of several mistakes), or
    wrong usage (typer's own message); 130 Ctrl-C. Anything else is a fault of this package and keeps its plain
    traceback.
    """
    app.pretty_exceptions_enable = False
    try:
        app(words)
    except VrError as error:
        _end(error)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # any place that looks at a path may be the first to meet it
            raise
        _end(InputError(f"a path of an option or file is too long: {str(error.filename)[:60]}...; shorten it"))
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None


def _end(error: VrError) -> NoReturn:
    for message in error.messages:
        sys.stderr.write(f"error: {' '.join(message.split())}\n")
    raise SystemExit(error.exit_code) from None


def require(module: str, extra: str) -> None:
    """Raises VrError unless `module` is installed; `extra` of this distribution brings it."""
    if importlib.util.find_spec(module) is None:
        raise VrError(f'{module} is missing; install it with: pip install "vr-registration[{extra}]"')
