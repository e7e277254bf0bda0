"""A recording that is switched on and off while a pair runs."""

import contextlib
import re
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vr.runtime.errors import OutputError
from vr.runtime.handover import Handover
from vr.runtime.loggers import LOG
from vr.runtime.notices import Notice
from vr.runtime.sinks.base import Output
from vr.runtime.sinks.opening import unattended
from vr.runtime.sinks.resuming import ResumingSink
from vr.runtime.sinks.segments import Segments
from vr.runtime.sinks.video import VideoSink
from vr.runtime.storage import SegmentLimit, StorageOptions

DEFAULT_FOLDER = Path("vr-recordings")
_AHEAD = 8
_CLOSE_S = 5.0
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_ID_BYTES = 9


@dataclass
class _Running:
    id: str
    start_s: float
    outputs: Handover[Output]
    sink: ResumingSink
    files: Segments
    thread: threading.Thread | None = None


@dataclass(frozen=True)
class RecordedFile:
    """id: random, for addresses. seconds: None of a file of an earlier run."""

    id: str
    path: Path
    seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """As the page has it."""
        with contextlib.suppress(OSError):
            size_bytes = self.path.stat().st_size
            return {"id": self.id, "name": self.path.name, "seconds": self.seconds, "bytes": size_bytes}
        return {"id": self.id, "name": self.path.name, "seconds": self.seconds, "bytes": 0}


class RecordingSwitch:
    """`FOLDER/NAME-20261126T041500Z.mp4` from `switch_on` to `switch_off`, written by a thread of its own that loses
    frames rather than make anybody wait. Every method may be called from any thread.
    """

    def __init__(self, folder: Path, name: str, storage: StorageOptions) -> None:
        """folder: made when it is first needed. name: of the pair; other characters than A-Z a-z 0-9 . _ - become _."""
        self._folder, self._storage = folder, StorageOptions(keep_free_mb=storage.keep_free_mb)
        self._path = folder / f"{_NAME.sub('_', name).lstrip('.') or 'pair'}.mp4"
        self._fps = 30.0
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._ids: dict[Path, str] = {}
        self._seconds: dict[Path, float] = {}
        self._is_closed = False

    def start(self, fps: float) -> None:
        """Before the first output. fps: nominal, of the RGB camera."""
        self._fps = fps

    @property
    def stem(self) -> str:
        """The pair's name as files have it."""
        return self._path.stem

    @property
    def notice(self) -> Notice | None:
        """See `Troubled`."""
        running = self._running
        return None if running is None else running.sink.notice

    @property
    def now(self) -> tuple[str, float] | None:
        """Id of the recording under way and how long it runs, s; None if it is off."""
        running = self._running
        return None if running is None else (running.id, time.monotonic() - running.start_s)

    def write(self, output: Output) -> None:
        """Takes an output; never waits."""
        running = self._running
        if running is not None:
            running.outputs.put(output)

    def switch_on(self) -> None:
        """Begins a new file with the next output; nothing if it is on. Raises OutputError."""
        with self._lock:
            if self._running is not None or self._is_closed:
                return
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot make the folder {self._folder}: {error.strerror}") from error
            self._running = self._begin()

    def switch_off(self) -> None:
        """Ends the file, and waits for that some seconds at most."""
        with self._lock:
            running, self._running = self._running, None
            if running is None:
                return
            running.outputs.end()
            assert running.thread is not None
            running.thread.join(_CLOSE_S)

    def toggle(self) -> str:
        """On if it is off, off if it is on; says which. Raises OutputError."""
        if self.now is None:
            self.switch_on()
            return f"recording into {self._folder}"
        self.switch_off()
        return "recording ended"

    def close(self, complete: bool) -> Path | None:
        """See `Sink`."""
        del complete
        self._is_closed = True
        was_on = self._running is not None
        self.switch_off()
        return self._folder if was_on else None

    def files(self) -> list[RecordedFile]:
        """All that lie in the folder under the pair's name, the oldest first."""
        pattern = re.compile(rf"{re.escape(self._path.stem)}-\d{{8}}T\d{{6}}Z(_\d+)?\.mp4", re.ASCII)
        with contextlib.suppress(OSError):
            paths = sorted(path for path in self._folder.iterdir() if pattern.fullmatch(path.name))
            return [self._file(path) for path in paths if path.is_file() and not path.is_symlink()]
        return []

    def find(self, identity: str) -> RecordedFile | None:
        """The file of that id, None if there is none."""
        return next((file for file in self.files() if file.id == identity), None)

    def _file(self, path: Path) -> RecordedFile:
        identity = self._ids.setdefault(path, secrets.token_urlsafe(_ID_BYTES))
        seconds = self._seconds.get(path)
        return RecordedFile(identity, path, None if seconds is None else round(seconds, 1))

    def _begin(self) -> _Running:
        files = Segments(self._path, SegmentLimit())
        video = VideoSink(files)
        video.start(self._fps, LOG.warning)
        sink = unattended(video, self._path, self._storage)
        identity = secrets.token_urlsafe(_ID_BYTES)
        running = _Running(identity, time.monotonic(), Handover[Output](_AHEAD, drops=True), sink, files)
        running.thread = threading.Thread(target=self._work, args=(running,), name="recording", daemon=True)
        running.thread.start()
        return running

    def _work(self, running: _Running) -> None:
        first_s: dict[Path, float] = {}
        for output in running.outputs:
            running.sink.write(output)
            path = running.files.written
            if path is not None:
                first = path not in self._ids and running.id not in self._ids.values()
                self._ids.setdefault(path, running.id if first else secrets.token_urlsafe(_ID_BYTES))
                self._seconds[path] = output.time_s - first_s.setdefault(path, output.time_s)
        try:
            running.sink.close(complete=True)
        except OutputError as error:
            LOG.warning("%s", error)
