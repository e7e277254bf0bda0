"""Where the loggers below `vr` go: a file, or stderr for warnings; text for people or JSON for machines."""

import contextlib
import json
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from logging.handlers import WatchedFileHandler
from typing import TextIO

from vr.runtime.errors import OutputError, VrError
from vr.runtime.live_options import RunOptions
from vr.runtime.loggers import LOG
from vr.runtime.sinks.targets import check_writable
from vr.runtime.sources.credentials import scrub

REPEAT_S = 60.0
_ROOT = logging.getLogger("vr")
_MOST_REMEMBERED = 1000


class NoFlood(logging.Filter):
    """Lets a message through once, and then, if it is repeated, once a minute with the number of those held back.

    Messages of one logger and level are the same if they have the same text before their arguments are put in, so a
    figure in it makes no difference. Errors with a traceback always pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`; adds the count to the message."""
        key, now_s = (record.name, record.levelno, str(record.msg)), self._clock()
        with self._lock:
            said_s, held_back = self._seen.pop(key, (-REPEAT_S, 0))
            passes = now_s - said_s >= REPEAT_S or record.exc_info is not None
            self._seen[key] = (now_s, 0) if passes else (said_s, held_back + 1)
            while len(self._seen) > _MOST_REMEMBERED:
                self._seen.popitem(last=False)
        if passes and held_back:
            record.msg, record.args = f"{record.getMessage()} ({held_back} more since the last time)", None
        return passes


class _Text(logging.Formatter):
    """`2026-11-26T04:19:20.123+00:00 WARNING vr.camera.ir: text`; no secret is in it."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        self._secrets = list(secrets)

    def hide(self, secret: str) -> None:
        """One more secret."""
        self._secrets.append(secret)

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        text = f"{_time_text(record)} {record.levelname} {record.name}: {record.getMessage()}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return scrub(text + trace, self._secrets)


class _Json(_Text):
    """One JSON object per line: time, level, logger, message, and traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        entries = {
            "time": _time_text(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": scrub(record.getMessage(), self._secrets),
        }
        if record.exc_info:
            entries["traceback"] = scrub(self.formatException(record.exc_info), self._secrets)
        return json.dumps(entries, ensure_ascii=False)


class _LogFile(WatchedFileHandler):
    """A file that is opened again where it was moved away; one that cannot be written says so once, on stderr."""

    _has_complained = False

    def handleError(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if not self._has_complained:
            self._has_complained = True
            sys.stderr.write(f"cannot write {self.baseFilename}: {sys.exc_info()[1]}; the run goes on without a log\n")

    def close(self) -> None:
        """See `logging.Handler`; what a full disk does not take is lost."""
        with contextlib.suppress(OSError):
            super().close()


class _Stderr(logging.StreamHandler[TextIO]):
    """What `sys.stderr` is at the moment: above a dashboard or a progress bar while there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.stream = sys.stderr
        super().emit(record)


@contextmanager
def logging_to(run: RunOptions, secrets: Sequence[str] = ()) -> Generator[None]:
    """Sets the logger `vr` up during the block; an error that ends the block is logged, if there is a file, and raised.

    secrets: what no line may hold. Raises OutputError if the file cannot be written.
    """
    handler = _handler(run)
    handler.setFormatter((_Json if run.log_format == "json" else _Text)(secrets))
    handler.addFilter(NoFlood())
    level = (run.log_level or ("info" if run.log_file else "warning")).upper()
    before = _ROOT.level
    _ROOT.setLevel("ERROR" if run.quiet and not run.log_file else level)
    _ROOT.addHandler(handler)
    try:
        yield
    except Exception as error:
        if run.log_file:
            LOG.error(str(error), exc_info=not isinstance(error, VrError))
        raise
    finally:
        _ROOT.removeHandler(handler)
        _ROOT.setLevel(before)
        handler.close()


def said_and_logged(say: Callable[[str], None]) -> Callable[[str], None]:
    """`say`, which also logs what it says."""

    def both(text: str) -> None:
        say(text)
        for line in text.splitlines():
            LOG.info(line)

    return both


def hide_in_logs(secret: str) -> None:
    """From now on no line of the log holds it."""
    for handler in _ROOT.handlers:
        if isinstance(handler.formatter, _Text):
            handler.formatter.hide(secret)


def reopen_logs() -> None:
    """Opens log files again that were moved away."""
    for handler in _ROOT.handlers:
        if isinstance(handler, _LogFile):
            handler.reopenIfNeeded()


def _handler(run: RunOptions) -> logging.Handler:
    if run.log_file is None:
        return _Stderr()
    if run.log_file.is_dir():
        raise OutputError(f"{run.log_file} is a folder; expected the name of a log file")
    check_writable(run.log_file.parent)
    try:
        return _LogFile(run.log_file, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {run.log_file}: {error.strerror}; choose another log file") from error


def _time_text(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
