"""The newest output of a pair, for everybody who asks, and its recording on demand."""

from pathlib import Path

from vr.runtime.notices import Notice
from vr.runtime.sinks.base import Output
from vr.runtime.web.encoding import PictureEncoder
from vr.runtime.web.recording import RecordingSwitch


class WebSink:
    """Always attached to a pair that has a page. `write` keeps a reference and wakes who waits: it never waits."""

    wants_picture = True

    def __init__(self, recording: RecordingSwitch) -> None:
        self.recording = recording
        self.encoder = PictureEncoder()
        self.newest: Output | None = None

    @property
    def notice(self) -> Notice | None:
        """See `Troubled`: of the recording."""
        return self.recording.notice

    def start(self, fps: float) -> None:
        """Before the first output. fps: nominal, of the RGB camera."""
        self.recording.start(fps)

    def write(self, output: Output) -> None:
        """See `Sink`."""
        self.newest = output
        self.encoder.offer(output)
        self.recording.write(output)

    def close(self, complete: bool) -> Path | None:
        """See `Sink`."""
        self.encoder.close()
        return self.recording.close(complete)
