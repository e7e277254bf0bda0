"""The thesis's `dataset.npz`, read frame by frame: 16,000 pairs of it would not fit into memory.

Keys `rgb`, `ir` and optionally `mask_rgb`, `mask_ir`; uint8 arrays (N, H, W) or (N, H, W, 3). Its masks have person 0
and the rest 255; here they become person 1, rest 0, and nowhere else.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.preprocess import MAX_SIDE_PX
from vr.runtime.sources import Stamped
from vr.runtime.sources.image_bytes import MAX_PIXELS
from vr.train.prepare.reading import Faults

_FRAMES = ("rgb", "ir")
_MASKS = ("mask_rgb", "mask_ir")
_PERSON_BELOW = 128

_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, LookupError, zipfile.BadZipFile, zlib.error)
"""What zipfile raises for a damaged file, for one that is encrypted, and for a compression that it does not know."""

Shape = tuple[int, ...]


class Archive:
    """One npz file. `shapes`: of each member that it has."""

    def __init__(self, path: Path) -> None:
        """Reads the headers only. Raises InputError if the file is not such an archive, or holds pickled objects."""
        self.path = path
        try:
            with zipfile.ZipFile(path) as file:
                names = {name.removesuffix(".npy") for name in file.namelist()}
                self.shapes = {key: _shape(file, path, key) for key in (*_FRAMES, *_MASKS) if key in names}
        except _UNREADABLE as error:
            raise InputError(
                f"cannot read {path} ({error}); expected an npz archive with the keys rgb and ir"
            ) from error
        self._check()

    @property
    def has_masks(self) -> bool:
        """Whether both masks are there."""
        return all(key in self.shapes for key in _MASKS)

    def images(self, key: str) -> Iterator[NDArray[np.uint8]]:
        """Each (H, W[, 3]) uint8 of a member, from the first. Raises InputError if the file ends too early."""
        count, *shape = self.shapes[key]
        size = int(np.prod(shape))
        index = 0
        try:
            with zipfile.ZipFile(self.path) as file, file.open(f"{key}.npy") as stream:
                _header(stream, self.path, key)
                for index in range(count):
                    content = stream.read(size)
                    if len(content) < size:
                        raise InputError(f"{self.path}: {key} ends at image {index} of {count}; copy the file again")
                    yield np.frombuffer(content, np.uint8).reshape(shape)
        except _UNREADABLE as error:
            raise InputError(f"{self.path}: {key} is damaged at image {index} ({error})") from error

    def masks(self, key: str) -> Iterator[NDArray[np.uint8]]:
        """Each mask (H, W) uint8 of a member, person 1 and rest 0."""
        for image in self.images(key):
            flat = image if image.ndim == 2 else image[:, :, 0]
            yield (flat < _PERSON_BELOW).astype(np.uint8)

    def _check(self) -> None:
        lacking = [key for key in _FRAMES if key not in self.shapes]
        if lacking:
            raise InputError(
                f"{self.path} has no {' and no '.join(lacking)}; expected the keys rgb, ir, mask_rgb, mask_ir"
            )
        counts = {key: shape[0] for key, shape in self.shapes.items()}
        if len(set(counts.values())) > 1 or not counts["rgb"]:
            raise InputError(f"{self.path} has {counts}; expected the same number of images, 1 or more, under each key")


class ArchiveRecording:
    """One camera of an archive as a recording; `colours` is the order in which it holds them."""

    def __init__(self, archive: Archive, key: str, fps: float, colours: str) -> None:
        self.name = f"{archive.path}:{key}"
        self.faults = Faults()
        self._archive, self._key, self._fps = archive, key, fps
        self._flip = colours == "rgb"

    def frames(self) -> Iterator[Stamped]:
        """See `vr.train.prepare.reading.Recording`."""
        for index, image in enumerate(self._archive.images(self._key)):
            frame = image[:, :, 0] if image.shape[2:] == (1,) else image
            flipped = np.ascontiguousarray(frame[:, :, ::-1]) if self._flip and frame.ndim == 3 else frame
            yield Stamped(flipped, index / self._fps, index)


def _shape(file: zipfile.ZipFile, path: Path, key: str) -> Shape:
    with file.open(f"{key}.npy") as stream:
        return _header(stream, path, key)


def _header(stream: IO[bytes], path: Path, key: str) -> Shape:
    """Leaves the stream at the first value."""
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(f"{path}: {key} is not a numpy array ({error})") from error
    if dtype.hasobject:
        raise InputError(f"{path}: {key} holds pickled Python objects, which are not loaded; save it as a uint8 array")
    if dtype != np.uint8 or is_fortran or len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)):
        raise InputError(f"{path}: {key} is {dtype} {shape}; expected uint8 (N, H, W) or (N, H, W, 3) in C order")
    height, width = shape[1:3]
    if not (min(height, width) > 0 and max(height, width) <= MAX_SIDE_PX and height * width <= MAX_PIXELS):
        raise InputError(
            f"{path}: {key} claims {shape[0]} images of {width}x{height} px; expected sides of 1 to "
            f"{MAX_SIDE_PX} px and {MAX_PIXELS / 1e6:.0f} megapixels at most"
        )
    return shape
