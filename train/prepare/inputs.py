"""What is to be prepared, opened: pairs of recordings, and archives with or without masks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vr.train.prepare.archive import Archive, ArchiveRecording
from vr.train.prepare.reading import Recording, open_recording
from vr.train.prepare.settings import Settings

Masks = Iterator[NDArray[np.uint8]]


@dataclass(frozen=True)
class Input:
    """Two recordings. archive: where both come from, if frame n belongs to frame n."""

    ir: Recording
    rgb: Recording
    archive: Archive | None = None

    def stored_masks(self) -> tuple[Masks, Masks] | None:
        """IR and RGB masks frame by frame, person 1; None if there are none."""
        if self.archive is None or not self.archive.has_masks:
            return None
        return self.archive.masks("mask_ir"), self.archive.masks("mask_rgb")


def open_inputs(settings: Settings) -> list[Input]:
    """Opens everything. Raises InputError for the first thing that cannot be used."""
    inputs = [
        Input(open_recording(ir, "ir", settings.ir_fps), open_recording(rgb, "rgb", settings.rgb_fps))
        for ir, rgb in settings.pairs
    ]
    for name in settings.npz:
        archive = Archive(Path(name))
        ir, rgb = (ArchiveRecording(archive, key, settings.rgb_fps, settings.npz_colours) for key in ("ir", "rgb"))
        inputs.append(Input(ir, rgb, archive))
    return inputs
