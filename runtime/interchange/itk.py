"""Linear 2-D transforms of ITK, SimpleITK and ANTs: text files (.tfm, .txt), and the .mat files of ANTs.

direction: like all resamplers ITK maps a point of the fixed (reference) image, RGB, to the moving one, IR.
unit: physical points (x, y). Both images are taken to have spacing 1, origin 0 and direction 1, as pictures without a
medical header have; then physical points are pixels, 0 at the centre of the first one.

A transform with matrix A, centre c and translation t maps x to A (x - c) + c + t (ITK Software Guide, 3.9).
"""

import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.errors import InputError, OutputError
from vr.runtime.geometry import Float64Array, compose
from vr.runtime.interchange.rig_transform import are_numbers, matrix_of

HEADER = "#Insight Transform File V1.0"
_COMPOSITE = "CompositeTransform"
_NAME = re.compile(r"([A-Za-z0-9]+)_(?:double|float)_(\d+)_(\d+)")
_MAT_HEADER = struct.Struct("<5i")
_MAT_FLOATS = {0: "<f8", 10: "<f4"}
_MOST_PARAMETERS = 64


@dataclass(frozen=True)
class ItkTransform:
    """One transform as ITK writes it: its type, such as AffineTransform_double_2_2, and its numbers."""

    kind: str
    parameters: tuple[float, ...]
    fixed_parameters: tuple[float, ...] = ()


def to_itk(matrix_rgb_to_ir: ArrayLike) -> ItkTransform:
    """An AffineTransform_double_2_2 around centre (0, 0), for `sitk.Resample(ir, rgb, transform)`.

    Raises OutputError for a homography: ITK has none in 2-D.
    """
    matrix = matrix_of(matrix_rgb_to_ir, "matrix_rgb_to_ir")
    if matrix.shape != (2, 3):
        raise OutputError("ITK has no homographies; expected an affine, or a file .npy, .yaml, .xml or .json")
    numbers = (*matrix[:, :2].ravel().tolist(), *matrix[:, 2].tolist())
    return ItkTransform("AffineTransform_double_2_2", numbers, (0.0, 0.0))


def from_itk(transforms: Sequence[ItkTransform], source: str = "the transform") -> Float64Array:
    """(2, 3) `matrix_rgb_to_ir` of a transform, or of a CompositeTransform and its parts behind it.

    The last part of a composite is applied first. Raises InputError for what is not linear or not 2-D.
    """
    if not transforms:
        raise InputError(f"{source} holds no transform; expected one of ITK's linear 2-D transforms")
    first, *rest = transforms
    if not first.kind.startswith(_COMPOSITE):
        if rest:
            raise InputError(f"{source} holds {len(transforms)} transforms; expected one, or a CompositeTransform")
        rest = [first]
    if not rest:
        raise InputError(f"{source} is a CompositeTransform without parts; expected at least one")
    matrix: Float64Array = np.eye(2, 3)
    for part in rest:
        matrix = matrix_of(compose(matrix, _matrix(part, source)), source)
    return matrix


def itk_text(transform: ItkTransform) -> str:
    """The text file of one transform."""
    lines = (
        HEADER,
        "#Transform 0",
        f"Transform: {transform.kind}",
        f"Parameters: {' '.join(map(repr, transform.parameters))}",
        f"FixedParameters: {' '.join(map(repr, transform.fixed_parameters))}",
    )
    return "\n".join(lines) + "\n"


def parse_itk_text(text: str, source: str) -> list[ItkTransform]:
    """What a text file holds, in its order. Raises InputError."""
    if not text.startswith(HEADER):
        raise InputError(f"{source} does not begin with {HEADER!r}; expected a transform file of ITK or ANTs")
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key == "Transform":
            found.append({key: value.strip()})
        elif colon and found:
            found[-1][key.strip()] = value
    return [
        ItkTransform(
            one["Transform"],
            _numbers(one.get("Parameters", ""), source),
            _numbers(one.get("FixedParameters", ""), source),
        )
        for one in found
    ]


def parse_itk_mat(data: bytes, source: str) -> list[ItkTransform]:
    """What a .mat file (MATLAB 4, little-endian) of ITK holds: pairs of the parameters, under the transform's type, and
    the fixed ones. Raises InputError.
    """
    arrays: list[tuple[str, tuple[float, ...]]] = []
    try:
        at = 0
        while at < len(data):
            name, numbers, at = _mat_array(data, at)
            arrays.append((name, numbers))
    except (struct.error, KeyError, ValueError) as error:
        raise InputError(f"{source} is no transform file of ITK or ANTs (MATLAB 4)") from error
    pairs = zip(arrays[::2], arrays[1::2], strict=False)
    return [ItkTransform(name, numbers, fixed) for (name, numbers), (_, fixed) in pairs]


def _mat_array(data: bytes, at: int) -> tuple[str, tuple[float, ...], int]:
    kind, rows, columns, imaginary, name_bytes = _MAT_HEADER.unpack_from(data, at)
    floats, count, at = np.dtype(_MAT_FLOATS[kind]), rows * columns, at + _MAT_HEADER.size
    end = at + name_bytes + count * floats.itemsize
    if imaginary or not (0 <= count <= _MOST_PARAMETERS and 0 < name_bytes <= 100 and end <= len(data)):
        raise ValueError("no array of a transform")
    name = data[at : at + name_bytes].rstrip(b"\0").decode("ascii")
    numbers = np.frombuffer(data, floats, count, at + name_bytes)
    return name, tuple(map(float, numbers)), end


def _numbers(text: str, source: str) -> tuple[float, ...]:
    words = text.split()
    try:
        return tuple(float(word) for word in words[: _MOST_PARAMETERS + 1])
    except ValueError as error:
        raise InputError(f"{source} has parameters {text.strip()!r:.80}; expected numbers") from error


def _matrix(transform: ItkTransform, source: str) -> Float64Array:
    """(2, 3) of a transform that is no composite."""
    match = _NAME.fullmatch(transform.kind)
    if match is None or (match[2], match[3]) != ("2", "2"):
        raise InputError(f"{source} is a {transform.kind!r:.80}; expected a 2-D transform, NAME_double_2_2")
    if match[1] not in _LINEAR:
        raise InputError(f"{source} is a {match[1]:.80}; expected a linear one: {', '.join(_LINEAR)}")
    count, linear = _LINEAR[match[1]]
    if len(transform.parameters) != count or len(transform.fixed_parameters) not in (0, 2):
        found = f"{len(transform.parameters)} parameters and {len(transform.fixed_parameters)} fixed ones"
        raise InputError(f"{source}: its {match[1]} has {found}; expected {count} and 2")
    if not are_numbers((*transform.parameters, *transform.fixed_parameters)):
        raise InputError(f"{source}: its {match[1]} has parameters that are not finite; expected numbers")
    matrix, shift = linear(transform.parameters)
    centre = np.array(transform.fixed_parameters or (0.0, 0.0))
    return np.column_stack([matrix, shift + centre - matrix @ centre])


_Linear = Callable[[Sequence[float]], tuple[Float64Array, Float64Array]]


def _affine(numbers: Sequence[float]) -> tuple[Float64Array, Float64Array]:
    return np.array(numbers[:4]).reshape(2, 2), np.array(numbers[4:])


def _similarity(numbers: Sequence[float]) -> tuple[Float64Array, Float64Array]:
    scale, angle_rad, *shift = numbers
    cos, sin = scale * math.cos(angle_rad), scale * math.sin(angle_rad)
    return np.array([[cos, -sin], [sin, cos]]), np.array(shift)


def _rigid(numbers: Sequence[float]) -> tuple[Float64Array, Float64Array]:
    return _similarity((1.0, *numbers))


_LINEAR: dict[str, tuple[int, _Linear]] = {
    "AffineTransform": (6, _affine),
    "MatrixOffsetTransformBase": (6, _affine),
    "Euler2DTransform": (3, _rigid),
    "Rigid2DTransform": (3, _rigid),
    "Similarity2DTransform": (4, _similarity),
    "ScaleTransform": (2, lambda numbers: (np.diag(numbers), np.zeros(2))),
    "TranslationTransform": (2, lambda numbers: (np.eye(2), np.array(numbers))),
    "IdentityTransform": (0, lambda _numbers: (np.eye(2), np.zeros(2))),
}
"""By the name of the type: the number of parameters, and the matrix (2, 2) and translation (2,) that they mean."""
