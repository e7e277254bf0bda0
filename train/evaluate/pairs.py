"""The pairs that a model is measured on, with all that is known of them besides: masks, landmarks, the truth."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, SizeHw, apply_matrix, compose, theta_to_matrix
from vr.runtime.preprocess import Frame, to_bgr
from vr.train.augment import LIMITS
from vr.train.data import Pair, list_pairs, read_image, read_ir, read_mask, split_pairs
from vr.train.match_data import random_matrix

PART_CHOICES = ("all", "train", "val", "test")
TRUTH, LANDMARKS, MASKS = "truth.jsonl", "landmarks", "masks"
_VAL_SHARE = _TEST_SHARE = 0.1
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Landmarks:
    """Corresponding points (K, 2) of both frames, native px."""

    rgb: Float64Array
    ir: Float64Array


@dataclass(frozen=True)
class KnownPair:
    """The files of one pair. masks: those of the same people in both frames; truth: (2, 3) or (3, 3), RGB to IR."""

    pair: Pair
    masks: Pair | None = None
    landmarks: Landmarks | None = None
    truth: Float64Array | None = None


@dataclass(frozen=True)
class Sample:
    """One pair in memory. ir (h, w[, 3]), rgb (H, W, 3); masks (h, w), (H, W) uint8, person 255, rest 0, or None."""

    stem: str
    ir: Frame
    rgb: NDArray[np.uint8]
    ir_mask: NDArray[np.uint8] | None
    rgb_mask: NDArray[np.uint8] | None
    landmarks: Landmarks | None
    truth: Float64Array | None

    @property
    def ir_hw(self) -> SizeHw:
        """Size of the IR frame."""
        return self.ir.shape[0], self.ir.shape[1]

    @property
    def rgb_hw(self) -> SizeHw:
        """Size of the RGB frame."""
        return self.rgb.shape[0], self.rgb.shape[1]


def known_pairs(folder: Path, part: str | None) -> list[KnownPair]:
    """The pairs of `folder` that belong to `part`: "train", "val", "test" or "all"; None means "test" where a manifest
    names parts, else "all". Without a manifest the parts are those that `vr-train affine` makes by default.

    Raises InputError for a folder that cannot be used, a part without pairs, masks that lack one of these pairs, and
    damaged landmarks or truth.
    """
    pairs = _of_part(list_pairs(folder), part)
    if not pairs:
        raise InputError(f"no pair of part {part or 'test'} in {folder}; name another --part, one of {_choices()}")
    masks, truth = _masks(folder, pairs), _read_truth(folder / TRUTH)
    return [KnownPair(one, masks.get(one.stem), _landmarks(folder, one.stem), truth.get(one.stem)) for one in pairs]


def read_sample(known: KnownPair, mode: str) -> Sample:
    """The pair in memory. mode: of the model; with "mask" and no masks beside, the frames themselves are masks.

    Raises InputError for a file that cannot be read, or masks of another size than their frame.
    """
    if mode == "mask" and known.masks is None:
        ir, rgb = (read_mask(path) * np.uint8(255) for path in (known.pair.ir, known.pair.rgb))
        return Sample(known.pair.stem, ir, to_bgr(rgb), ir, rgb, known.landmarks, known.truth)
    ir, rgb = read_ir(known.pair.ir), to_bgr(read_image(known.pair.rgb))
    ir_mask = rgb_mask = None
    if known.masks is not None:
        ir_mask, rgb_mask = (read_mask(path) * np.uint8(255) for path in (known.masks.ir, known.masks.rgb))
        _check_size(ir_mask, ir, known.masks.ir)
        _check_size(rgb_mask, rgb, known.masks.rgb)
    return Sample(known.pair.stem, ir, rgb, ir_mask, rgb_mask, known.landmarks, known.truth)


def warped(sample: Sample, seed: int, index: int) -> Sample:
    """The sample with its IR side moved by a random affine of `vr.train.augment.LIMITS`, and the truth that follows.

    Without a truth of its own the pair is taken for aligned, IR frame stretched to the RGB frame. The IR frame is
    mirrored at its border, since the shape of a black one would give the warp away; its mask gets 0.
    """
    matrix = random_matrix(np.random.default_rng((seed, index)), sample.ir_hw, LIMITS)
    before = sample.truth if sample.truth is not None else unaligned(sample.rgb_hw, sample.ir_hw)
    mask, marks = sample.ir_mask, sample.landmarks
    return replace(
        sample,
        ir=_moved(sample.ir, matrix, cv2.BORDER_REFLECT_101, cv2.INTER_LINEAR),
        ir_mask=None if mask is None else _moved(mask, matrix, cv2.BORDER_CONSTANT, cv2.INTER_NEAREST),
        landmarks=None if marks is None else replace(marks, ir=apply_matrix(matrix, marks.ir)),
        truth=compose(matrix, before),
    )


def unaligned(rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
    """(2, 3): the IR frame merely stretched to the RGB frame; what every method is compared with."""
    return theta_to_matrix(IDENTITY_THETA, rgb_hw, ir_hw)


def _of_part(pairs: list[Pair], part: str | None) -> list[Pair]:
    if part is not None and part not in PART_CHOICES:
        raise InputError(f"part {part!r} is unknown; expected one of {_choices()}")
    named = any(pair.part for pair in pairs)
    chosen = part or ("test" if named else "all")
    if chosen == "all":
        return pairs
    if named:
        return [pair for pair in pairs if pair.part == chosen]
    split = split_pairs(pairs, _VAL_SHARE, _TEST_SHARE)
    return {"train": split.train, "val": split.val, "test": split.test}[chosen]


def _masks(folder: Path, pairs: list[Pair]) -> dict[str, Pair]:
    """By stem; empty where the folder has no masks of both sides."""
    root = folder / MASKS
    if not ((root / "rgb").is_dir() and (root / "ir").is_dir()):
        return {}
    masks = {pair.stem: pair for pair in list_pairs(root)}
    missing = [pair.stem for pair in pairs if pair.stem not in masks]
    if missing:
        raise InputError(
            f"{len(missing)} pair(s) have no mask in {root}: {', '.join(missing[:_NAMED_AT_MOST])}; add them, or take "
            f"{root} away to measure without masks"
        )
    return masks


def _read_truth(path: Path) -> dict[str, Float64Array]:
    """Stem to matrix; empty without the file. Raises InputError unless each line has both."""
    if not path.is_file():
        return {}
    found: dict[str, Float64Array] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.strip():
            place = f"{path}, line {number},"
            content = _parsed(line, place, ("stem", "matrix_rgb_to_ir"))
            found[str(content["stem"])] = _matrix(content["matrix_rgb_to_ir"], place)
    return found


def _landmarks(folder: Path, stem: str) -> Landmarks | None:
    path = folder / LANDMARKS / f"{stem}.json"
    if not path.is_file():
        return None
    content = _parsed(_text(path), str(path), ("rgb", "ir"))
    rgb, ir = (_numbers(content[side], f'{path}, "{side}",') for side in ("rgb", "ir"))
    if rgb.shape != ir.shape or rgb.ndim != 2 or rgb.shape[1] != 2 or len(rgb) == 0:
        raise InputError(
            f'{path} has points of shapes {rgb.shape} and {ir.shape}; expected equally many [x, y] in "rgb" and "ir"'
        )
    return Landmarks(rgb, ir)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} ({error}); expected a text file in UTF-8") from error


def _parsed(text: str, place: str, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is not JSON ({error}); expected an object with {' and '.join(keys)}") from error
    if not isinstance(content, dict) or not all(key in content for key in keys):
        raise InputError(f"{place} is not as expected: a JSON object with {' and '.join(keys)}")
    return content


def _matrix(values: Any, place: str) -> Float64Array:
    matrix = _numbers(values, place)
    if matrix.shape not in ((2, 3), (3, 3)) or abs(np.linalg.det(matrix[:2, :2])) < 1e-9:
        raise InputError(f"{place} has a matrix of shape {matrix.shape}; expected 2x3 or 3x3 that can be inverted")
    return matrix


def _numbers(values: Any, place: str) -> Float64Array:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{place} does not hold rows of numbers ({error})") from error
    if not np.isfinite(numbers).all():
        raise InputError(f"{place} holds numbers that are not finite; expected coordinates in px")
    return numbers


def _moved(image: Any, matrix: Float64Array, border: int, interpolation: int) -> Any:
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=interpolation, borderMode=border)


def _check_size(mask: NDArray[np.uint8], frame: Frame, path: Path) -> None:
    if mask.shape != frame.shape[:2]:
        raise InputError(
            f"mask {path} is {mask.shape[1]}x{mask.shape[0]} px, its frame {frame.shape[1]}x{frame.shape[0]}; "
            "expected the same size"
        )


def _choices() -> str:
    return ", ".join(PART_CHOICES)
