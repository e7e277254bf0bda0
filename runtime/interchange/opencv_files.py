"""Files of OpenCV's FileStorage (.yaml, .yml, .xml, .json): a matrix, or a stereo calibration.

A matrix, by the first of these names that the file has:

- `matrix_rgb_to_ir`, `H_rgb_to_ir`, `H`, `homography`, `M`, `affine`: native pixels, RGB to IR;
- `matrix_ir_to_rgb`, `H_ir_to_rgb`: native pixels, IR to RGB;
- `theta`: normalised, RGB to IR.

`rgb_hw` and `ir_hw`, (height, width), say of which frames the pixels are.

A stereo calibration has `R` (and `T`), which take a point of camera 1 to camera 2, `K1`, `K2` (or `M1`, `M2`, or
`cameraMatrix1`, ...), `D1`, `D2` (or `distCoeffs1`, ...), and `rgb_camera` (1 or 2); or `K_rgb`, `D_rgb`, `K_ir`,
`D_ir`, where R and T take a point of the RGB camera to the IR camera. `image_size` (width, height), or `image_size1`
and `image_size2`, are the sizes that it was made with. `depth` of the scene, in the unit of T, makes it fit a plane
there instead of what is far away. A matrix may be an opencv-matrix or a list of numbers or rows.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw, invert
from vr.runtime.interchange.rig_transform import RigTransform, are_numbers, matrix_of
from vr.runtime.interchange.stereo import Lens, StereoCalibration

Numbers = Mapping[str, Float64Array]
"""The numbers of a file by name; a scalar has shape ()."""
RgbCamera = Literal[1, 2]

SUFFIXES = (".yaml", ".yml", ".xml", ".json")
_RGB_TO_IR = ("matrix_rgb_to_ir", "H_rgb_to_ir", "H", "homography", "M", "affine")
_IR_TO_RGB = ("matrix_ir_to_rgb", "H_ir_to_rgb")
_THETA = "theta"
_K_NAMES = ("K", "M", "cameraMatrix", "camera_matrix", "K_", "camera_matrix_")
_D_NAMES = ("D", "distCoeffs", "dist_coeffs", "D_", "dist_coeffs_")
_SIZE_NAMES = ("image_size", "imageSize", "image_size_")
_MOST_NUMBERS = 64
_OPENING, _MOST_OPENINGS = re.compile(r"[\[{<]|-\s"), 2000
_CONVENTION = (
    "matrix_rgb_to_ir maps pixel (x, y, 1) of the RGB frame to its source in the IR frame, 0 at the centre of the "
    "first pixel; sizes are height, width. cv2.warpPerspective / warpAffine with WARP_INVERSE_MAP takes it"
)


def opencv_text(suffix: str, matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> str:
    """A file with `matrix_rgb_to_ir` and the sizes of the frames; suffix: .yaml, .yml, .xml or .json."""
    storage = cv2.FileStorage(suffix, cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("convention", _CONVENTION)
    storage.write("matrix_rgb_to_ir", np.asarray(matrix_rgb_to_ir, np.float64))
    for name, size_hw in (("rgb_hw", rgb_hw), ("ir_hw", ir_hw)):
        storage.startWriteStruct(name, cv2.FILE_NODE_SEQ | cv2.FILE_NODE_FLOW)
        for side in size_hw:
            storage.write("", int(side))
        storage.endWriteStruct()
    return storage.releaseAndGetString()


def read_opencv(
    text: str, suffix: str, source: str, rgb_camera: RgbCamera | None = None, depth: float | None = None
) -> RigTransform:
    """The transform of a file's text. rgb_camera, depth: as in `load_transform`. Raises InputError."""
    numbers = _json_numbers(text, source) if suffix == ".json" else _storage_numbers(text, source)
    if "R" in numbers:
        return _of_stereo(numbers, source, rgb_camera, depth)
    rgb_hw, ir_hw = (_size(numbers, name, source, "hw") for name in ("rgb_hw", "ir_hw"))
    for name in (*_RGB_TO_IR, *_IR_TO_RGB, _THETA):
        if name in numbers:
            matrix = matrix_of(numbers[name], f"{name} of {source}")
            matrix = matrix_of(invert(matrix), f"{name} of {source}") if name in _IR_TO_RGB else matrix
            return RigTransform(matrix, "normalised" if name == _THETA else "pixels", rgb_hw, ir_hw, source)
    known = ", ".join((*_RGB_TO_IR, *_IR_TO_RGB, _THETA))
    raise InputError(f"{source} has no transform; expected one of {known}, or a stereo calibration with R, K1 and K2")


def _of_stereo(numbers: Numbers, source: str, rgb_camera: RgbCamera | None, depth: float | None) -> RigTransform:
    calibration = _stereo(numbers, source, rgb_camera)
    if depth is None and "depth" in numbers:
        depth = float(_of_shape(numbers["depth"], (), f"depth of {source}"))
    try:
        matrix = matrix_of(calibration.homography(depth), f"the calibration {source}")
        warnings = calibration.warnings(source)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return RigTransform(matrix, "pixels", calibration.rgb.size_hw, calibration.ir.size_hw, source, warnings)


def _stereo(numbers: Numbers, source: str, rgb_camera: RgbCamera | None) -> StereoCalibration:
    rotation = _of_shape(numbers["R"], (3, 3), f"R of {source}")
    translation = _of_shape(numbers["T"].ravel(), (3,), f"T of {source}") if "T" in numbers else None
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0.0:
        raise InputError(f"R of {source} is no rotation; expected the R of cv2.stereoCalibrate")
    if "K_rgb" in numbers and "K_ir" in numbers:
        return StereoCalibration(_lens(numbers, "rgb", source), _lens(numbers, "ir", source), rotation, translation)
    first, second = (_lens(numbers, which, source) for which in ("1", "2"))
    calibration = StereoCalibration(first, second, rotation, translation)
    camera = rgb_camera or _scalar(numbers, "rgb_camera")
    if camera not in (1, 2):
        raise InputError(
            f"{source} is a stereo calibration and does not say which camera is the RGB one; add rgb_camera: 1, or 2"
        )
    return calibration if camera == 1 else calibration.swapped()


def _lens(numbers: Numbers, which: str, source: str) -> Lens:
    k_name, d_name, size_name = (
        next((stem + which for stem in stems if stem + which in numbers), None)
        for stems in (_K_NAMES, _D_NAMES, _SIZE_NAMES)
    )
    if k_name is None:
        raise InputError(f"{source} has R and no camera matrix of camera {which}; expected K{which}, or K_rgb and K_ir")
    k = _of_shape(numbers[k_name], (3, 3), f"{k_name} of {source}")
    if min(k[0, 0], k[1, 1]) <= 0.0 or not np.array_equal(k[2], (0.0, 0.0, 1.0)):
        raise InputError(f"{k_name} of {source} is no camera matrix; expected fx, 0, cx; 0, fy, cy; 0, 0, 1")
    distortion = None if d_name is None else numbers[d_name].ravel()
    if distortion is not None and not are_numbers(distortion):
        raise InputError(f"{d_name} of {source} is not finite; expected distortion coefficients")
    size_hw = _size(numbers, size_name, source, "wh") if size_name else _size_of_both(numbers, source)
    return Lens(k, distortion, size_hw)


def _size_of_both(numbers: Numbers, source: str) -> SizeHw | None:
    for name in ("image_size", "imageSize"):
        if name in numbers:
            return _size(numbers, name, source, "wh")
    sides = _scalar(numbers, "image_width"), _scalar(numbers, "image_height")
    return None if None in sides else _size({"image": np.array(sides)}, "image", source, "wh")


def _scalar(numbers: Numbers, name: str) -> float | None:
    return float(numbers[name]) if name in numbers and numbers[name].shape == () else None


def _size(numbers: Numbers, name: str, source: str, order: Literal["hw", "wh"]) -> SizeHw | None:
    if name not in numbers:
        return None
    sides = _of_shape(numbers[name].ravel(), (2,), f"{name} of {source}")
    if not (np.all(sides >= 1.0) and np.all(sides <= 1e6)):
        raise InputError(f"{name} of {source} is {sides.tolist()}; expected two sides in pixels")
    height, width = sides if order == "hw" else sides[::-1]
    return int(height), int(width)


def _of_shape(numbers: Float64Array, shape: tuple[int, ...], name: str) -> Float64Array:
    if numbers.shape != shape or not are_numbers(numbers):
        raise InputError(f"{name} has shape {numbers.shape}; expected {shape}, finite")
    return numbers


def _json_numbers(text: str, source: str) -> Numbers:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{source} is no JSON object; expected one with a matrix, such as matrix_rgb_to_ir")
    entries = cast(dict[str, Any], document)
    return {name: numbers for name, value in entries.items() if (numbers := _json_value(value)) is not None}


def _json_value(value: Any) -> Float64Array | None:
    """A number, a list, rows, or an opencv-matrix; None for everything else."""
    if isinstance(value, dict):
        node = cast(dict[str, Any], value)
        return _matrix_of_parts(node.get("rows"), node.get("cols"), node.get("data"))
    if not isinstance(value, list | int | float):
        return None
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None


def _matrix_of_parts(rows: Any, columns: Any, data: Any) -> Float64Array | None:
    try:
        return np.asarray(data, dtype=np.float64).reshape(rows, columns)
    except (ValueError, TypeError, OverflowError):
        return None


def _storage_numbers(text: str, source: str) -> Numbers:
    """Through OpenCV, which raises cv2.error and SystemError for text that it cannot read, and whose parser overflows
    the stack where things are nested tens of thousands of times.
    """
    if len(_OPENING.findall(text)) > _MOST_OPENINGS:
        raise InputError(f"{source} is nested too deeply, or too long; expected a file with one transform")
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        root = storage.root()
        names: Sequence[str] = root.keys() if root.isMap() else ()
        found = {name: _node_value(root.getNode(name)) for name in names}
    except (cv2.error, SystemError, UnicodeError) as error:
        raise InputError(f"{source} is no file of cv2.FileStorage (YAML or XML)") from error
    return {name: numbers for name, numbers in found.items() if numbers is not None}


def _node_value(node: cv2.FileNode, in_list: bool = False) -> Float64Array | None:
    """See `_json_value`; a list of lists is as deep as it may be.

    The size that a matrix claims is looked at before OpenCV takes memory for it.
    """
    if node.isInt() or node.isReal():
        return np.array(node.real())
    if node.isMap() and not in_list:
        rows, columns = (side.real() if (side := node.getNode(key)).isInt() else 0.0 for key in ("rows", "cols"))
        if not (rows >= 1.0 and columns >= 1.0 and rows * columns <= _MOST_NUMBERS):
            return None
        return np.asarray(node.mat(), dtype=np.float64)
    if not (node.isSeq() and 1 <= node.size() <= _MOST_NUMBERS):
        return None
    nodes = [node.at(number) for number in range(node.size())]
    values = [None if in_list and one.isSeq() else _node_value(one, in_list=True) for one in nodes]
    parts = [part for part in values if part is not None]
    same = len(parts) == len(values) and len({part.shape for part in parts}) == 1
    return np.array(parts) if same else None
