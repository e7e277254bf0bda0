"""Footage of one's own rig becomes aligned pairs, without labels: the network itself says how.

The cameras of a rig do not move against each other, so one transform holds for all pairs, and the median of many
answers is better than each of them. Twice: first over the pairs as they are; then, with the pairs roughly aligned, over
random views of them, because a network's error follows what it is shown, and what different views agree on is less its
own taste.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vr.runtime.aligner import Aligner
from vr.runtime.errors import InputError, OutputError
from vr.runtime.geometry import (
    Float64Array,
    SizeHw,
    apply_matrix,
    compose,
    grid_error_px,
    invert,
    matrix_to_theta,
    theta_to_matrix,
)
from vr.runtime.preprocess import Frame, to_bgr
from vr.runtime.warp import warp_matrix
from vr.train.data import Pair, read_image, read_ir
from vr.train.match_data import WarpRange, random_matrix

VIEWS = 120
_VIEW_RANGE = WarpRange(shift_share=0.06, rotation_deg=6.0, scale=(0.9, 1.1), shear_deg=3.0)
_LEAST_PAIRS = 8
_FAR_PX = 5.0
_LEAST_AGREEING = 0.5
_STANDARD_HW: SizeHw = (240, 320)

OnDone = Callable[[], None]


@dataclass(frozen=True)
class Rig:
    """What is known of a rig.

    theta: (2, 3) float64, normalised, RGB to IR, of all pairs. answered: share of the pairs that the network aligned
    at all. scatter_px: median distance of a pair's own answer from theta, px at 320 px width.
    """

    theta: Float64Array
    answered: float
    scatter_px: float


def find_rig(aligner: Aligner, pairs: Sequence[Pair], seed: int, on_done: OnDone = lambda: None) -> Rig:
    """The one transform of all pairs (of any sizes). Calls `on_done` once per pair and once per view (`VIEWS`).

    Raises InputError if there are fewer than 8 pairs, or if the network's answers do not agree on one transform.
    """
    if len(pairs) < _LEAST_PAIRS:
        raise InputError(f"only {len(pairs)} pair(s) of the rig; expected at least {_LEAST_PAIRS}, better some dozens")
    answers = [_ask(aligner, pair, on_done) for pair in pairs]
    found = [theta for theta in answers if theta is not None]
    if not found:
        raise InputError("the network aligned none of the pairs; is the footage of one scene, IR beside RGB?")
    rough = np.median(found, axis=0)
    distances = np.array([theta_distance_px(theta, rough) for theta in found])
    agreeing = int((distances < _FAR_PX).sum())
    if agreeing < max(_LEAST_PAIRS // 2, _LEAST_AGREEING * len(found)):
        raise InputError(
            f"the pairs do not agree on one transform: {len(found)} of {len(pairs)} aligned, {agreeing} of them within "
            f"{_FAR_PX:g} px of their median; fine-tuning needs cameras that do not move against each other"
        )
    rough = np.median([t for t, distance in zip(found, distances, strict=True) if distance < _FAR_PX], axis=0)
    theta = _over_views(aligner, pairs, rough, np.random.default_rng((seed, 60)), on_done)
    own = [theta_distance_px(one, theta) for one in found]
    return Rig(theta, len(found) / len(pairs), float(np.median(own)))


def write_aligned(pairs: Sequence[Pair], theta: Float64Array, folder: Path) -> None:
    """`folder/rgb` and `folder/ir`, PNG: the pairs by `theta`, cut to what both cameras see.

    All of them or none: a new folder beside it is renamed at the end. Raises OutputError if it cannot be written.
    """
    part = folder.with_name(f".{folder.name}.part")
    try:
        for pair in pairs:
            _write_aligned_pair(pair, theta, part)
        part.replace(folder)
    except OSError as error:
        raise OutputError(f"cannot write the aligned pairs to {folder} ({error.strerror}); nothing is kept") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_aligned_pair(pair: Pair, theta: Float64Array, folder: Path) -> None:
    ir, rgb = read_ir(pair.ir), read_image(pair.rgb)
    rgb_hw, ir_hw = (rgb.shape[0], rgb.shape[1]), (ir.shape[0], ir.shape[1])
    matrix = theta_to_matrix(theta, rgb_hw, ir_hw)
    rows, columns = common_window(matrix, rgb_hw, ir_hw)
    for role, image in (("ir", warp_matrix(to_bgr(ir), matrix, rgb_hw)), ("rgb", to_bgr(rgb))):
        path = folder / role / f"{pair.stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Encoded in memory: cv2.imwrite prints lines of its own where a disk is full.
        path.write_bytes(np.asarray(cv2.imencode(".png", image[rows, columns])[1]).tobytes())


def common_window(matrix_rgb_to_ir: Float64Array, rgb_hw: SizeHw, ir_hw: SizeHw) -> tuple[slice, slice]:
    """Rows and columns of an RGB rectangle of RGB's shape that the IR frame covers wholly, nearly the largest one.

    Raises InputError if they have less than a quarter of the frame in common.
    """
    h, w = rgb_hw
    for share in np.arange(1.0, 0.49, -0.02):
        size = np.array([share * (w - 1), share * (h - 1)])
        slack = np.array([w - 1, h - 1]) - size
        for place in np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, 11)] * 2), axis=-1).reshape(-1, 2):
            corner = place * slack
            corners = corner + size * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
            source = apply_matrix(matrix_rgb_to_ir, corners)
            if (source >= 0.0).all() and (source <= np.array(ir_hw[::-1]) - 1.0).all():
                left, top = np.ceil(corner).astype(int)
                right, bottom = np.floor(corner + size).astype(int)
                return slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)
    raise InputError("the cameras of the rig see less than a quarter of a frame in common; fine-tuning needs more")


def theta_distance_px(theta: Float64Array, other: Float64Array) -> float:
    """Mean distance over the frame between two normalised transforms, px of a 240x320 frame."""
    one, two = (theta_to_matrix(each, _STANDARD_HW, _STANDARD_HW) for each in (theta, other))
    return grid_error_px(one, two, _STANDARD_HW)


def _ask(aligner: Aligner, pair: Pair, on_done: OnDone) -> Float64Array | None:
    theta = _theta(aligner, read_ir(pair.ir), read_image(pair.rgb))
    on_done()
    return theta


def _theta(aligner: Aligner, ir: Frame, rgb: Frame) -> Float64Array | None:
    matrix = aligner.estimate(ir, to_bgr(rgb)).matrix_rgb_to_ir
    return None if matrix is None else matrix_to_theta(matrix, (rgb.shape[0], rgb.shape[1]), (ir.shape[0], ir.shape[1]))


def _over_views(
    aligner: Aligner, pairs: Sequence[Pair], rough: Float64Array, rng: np.random.Generator, on_done: OnDone
) -> Float64Array:
    """The median answer over random views of the pairs, aligned by `rough` and then moved by known small affines."""
    found: list[Float64Array] = []
    for number in range(VIEWS):
        pair = pairs[number % len(pairs)]
        theta = _through_view(aligner, read_ir(pair.ir), read_image(pair.rgb), rough, rng)
        if theta is not None and theta_distance_px(theta, rough) < _FAR_PX:
            found.append(theta)
        on_done()
    return np.median(found, axis=0) if found else rough


def _through_view(
    aligner: Aligner, ir: Frame, rgb: Frame, rough: Float64Array, rng: np.random.Generator
) -> Float64Array | None:
    """Theta of a pair by way of the views `fixed(v) = rgb(a v)`, `moving(u) = ir(rough b u)`: `rough b added a^-1`."""
    rgb_hw, ir_hw = (rgb.shape[0], rgb.shape[1]), (ir.shape[0], ir.shape[1])
    a, b = (random_matrix(rng, rgb_hw, _VIEW_RANGE) for _ in range(2))
    to_ir = compose(theta_to_matrix(rough, rgb_hw, ir_hw), b)
    fixed, moving = warp_matrix(to_bgr(rgb), a, rgb_hw), warp_matrix(to_bgr(ir), to_ir, rgb_hw)
    added = aligner.estimate(moving, fixed).matrix_rgb_to_ir
    return None if added is None else matrix_to_theta(compose(compose(to_ir, added), invert(a)), rgb_hw, ir_hw)
