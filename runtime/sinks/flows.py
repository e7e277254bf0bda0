"""The transforms as dense maps."""

import io
from pathlib import Path

import numpy as np

from vr.runtime.sinks.base import Output
from vr.runtime.sinks.targets import FolderTarget, write_whole


class FlowSink:
    """`<index>.npy` per output frame, (H, W, 2) float32: for each native RGB pixel its source point (x, y)
    in native IR pixels, absolute. A refused frame has none, its number is left out.
    """

    wants_picture = False

    def __init__(self, target: FolderTarget) -> None:
        self._target = target
        self._started = False

    def write(self, output: Output) -> None:
        """See `Sink`."""
        if not self._started:
            self._target.create()
            self._started = True
        if output.alignment is None or output.state == "refused":
            return
        data = io.BytesIO()
        np.save(data, output.alignment.source_map_xy(), allow_pickle=False)
        write_whole(self._target.path / f"{output.index}.npy", data.getbuffer())

    def close(self, complete: bool) -> Path | None:
        """See `Sink`; every file is whole already."""
        return self._target.path if self._started else None
