"""Transforms from files and into files, by the ending of the name."""

import io
import math
import warnings
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike

from vr.runtime.errors import InputError, OutputError
from vr.runtime.geometry import Float64Array, SizeHw, matrix_to_theta
from vr.runtime.interchange import itk, opencv_files
from vr.runtime.interchange.opencv_files import RgbCamera
from vr.runtime.interchange.rig_transform import RigTransform, matrix_of

_ITK = (".tfm", ".txt")
WRITABLE = (".npy", *_ITK, *opencv_files.SUFFIXES)
READABLE = (*WRITABLE, ".mat")
_MOST_BYTES, _MOST_NUMBERS, _MOST_ITEM_BYTES = 256_000, 16, 16


def load_transform(path: Path | str, rgb_camera: RgbCamera | None = None, depth: float | None = None) -> RigTransform:
    """The transform that a file holds, from RGB points to IR points.

    .npy: a `theta`. .tfm, .txt, .mat: ITK, ANTs, see `vr.runtime.interchange.itk`. .yaml, .yml, .xml, .json: OpenCV,
    see `vr.runtime.interchange.opencv_files`. Files in pixels that do not hold the sizes of the frames need them once
    the transform is asked for.

    rgb_camera: which camera of a stereo calibration is the RGB one, where the file does not say. depth: of the scene,
    in the unit of the calibration's T; None is far away. Raises InputError for files that cannot be read, hold no
    transform, or more than one.
    """
    path = Path(path)
    suffix, source = path.suffix.lower(), str(path)
    if suffix not in READABLE:
        raise InputError(f"{source} is no file of a transform by its name; expected {', '.join(READABLE)}")
    data = _read(path)
    if suffix == ".npy":
        return RigTransform(_theta(data, source), "normalised", source=source)
    if suffix == ".mat":
        return RigTransform(itk.from_itk(itk.parse_itk_mat(data, source), source), "pixels", source=source)
    text = _text(data, source)
    if suffix in _ITK:
        return RigTransform(itk.from_itk(itk.parse_itk_text(text, source), source), "pixels", source=source)
    return opencv_files.read_opencv(text, suffix, source, rgb_camera, depth)


def read_transform(
    path: Path | str,
    rgb_hw: SizeHw | None = None,
    ir_hw: SizeHw | None = None,
    rgb_camera: RgbCamera | None = None,
    depth: float | None = None,
) -> Float64Array:
    """The `theta` of a file at once; see `load_transform` and `RigTransform.theta`."""
    return load_transform(path, rgb_camera, depth).theta(rgb_hw, ir_hw)


def save_transform(
    path: Path | str, matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw, overwrite: bool = False
) -> Path:
    """Writes a transform, (2, 3) or (3, 3) in native pixels, so that the file is there as a whole or not at all.

    .npy: `theta`, float64. .tfm, .txt: ITK. .yaml, .yml, .xml, .json: OpenCV, with the sizes. Raises InputError for
    what is no transform, OutputError for other endings, a file that exists unless `overwrite`, a homography for ITK,
    and where nothing can be written.
    """
    from vr.runtime.sinks.targets import write_whole

    path = Path(path)
    data = _encoded(path, matrix_of(matrix_rgb_to_ir, "matrix_rgb_to_ir"), rgb_hw, ir_hw)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; choose another name, or pass overwrite=True to replace it")
    write_whole(path, data)
    return path


def _encoded(path: Path, matrix: Float64Array, rgb_hw: SizeHw, ir_hw: SizeHw) -> bytes:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        stream = io.BytesIO()
        np.save(stream, matrix_to_theta(matrix, rgb_hw, ir_hw))
        return stream.getvalue()
    if suffix in _ITK:
        return itk.itk_text(itk.to_itk(matrix)).encode()
    if suffix in opencv_files.SUFFIXES:
        return opencv_files.opencv_text(suffix, matrix, rgb_hw, ir_hw).encode()
    raise OutputError(f"{path}: no transform is written to such a name; expected {', '.join(WRITABLE)}")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {path}: {why}; expected a file with a transform") from error
    if len(data) > _MOST_BYTES:
        raise InputError(f"{path} has more than 256 kB; expected a file with one transform")
    return data


def _text(data: bytes, source: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is no text (UTF-8); expected a file with a transform") from error
    if "\0" in text:
        raise InputError(f"{source} holds a character of code 0; expected a text file with a transform")
    return text


def _theta(data: bytes, source: str) -> Float64Array:
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy warns of headers that it repairs
            _check_header(io.BytesIO(data))
            array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # whatever Python's own parser raises, of which numpy's reader of headers makes use
        raise InputError(f"{source} is no array of numpy (.npy) with a theta; expected 2x3 or 3x3 numbers") from error
    return matrix_of(array, f"theta of {source}")


def _check_header(stream: io.BytesIO) -> None:
    """numpy takes memory for whatever the header claims. Raises ValueError unless it claims a few numbers."""
    version, _ = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == 1 else npy.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if math.prod(shape) > _MOST_NUMBERS or dtype.itemsize > _MOST_ITEM_BYTES:
        raise ValueError(f"shape {shape}")
