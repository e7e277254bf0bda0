"""Pairs with a known answer, made from real pairs: what `benchmarks.accuracy` measures on.

Protocol S: an aligned pair is brought to a 534x400 canvas, the IR side is warped about the centre by a random affine,
and the central 320x240 of both sides is cut out, so that no border of the warp gives the answer away.
Wide protocol: the same with a wider draw. Where the IR camera sees more than the canvas holds, the canvas of that pair
is enlarged by what its draw needs, so that there is no border at all; such a pair shows less of its scene.
Protocol L: real pairs that are not aligned, with landmarks set by hand.

Pair number k of a folder is drawn from seed FIRST_SEED + k.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, SizeHw, apply_affine, compose, invert
from vr.runtime.preprocess import Frame

CANVAS_HW: SizeHw = (400, 534)
FRAME_HW: SizeHw = (240, 320)
FIRST_SEED = 1000
ALIGNED: Float64Array = np.eye(2, 3)
CLIPS = "m3svd"
EVERY_CLIP_FRAME = 4
"""Single-frame protocols take every fourth frame of a clip: its frames are nearly the same pair."""
HeldOut = Mapping[str, list[str] | Literal["all"]]
Files = list[tuple[Path, Path]]


@dataclass(frozen=True)
class Draw:
    """How far a random affine may go: uniform, shift in frame sides; the scale log-uniform if `log_scale`."""

    shift: float
    rotation_deg: float
    scale: tuple[float, float]
    shear_deg: float
    log_scale: bool = False


NARROW = Draw(0.1, 10.0, (0.85, 1.15), 5.0)
WIDE = Draw(0.15, 15.0, (0.7, 1.4), 5.0, log_scale=True)


@dataclass(frozen=True)
class KnownPair:
    """Two 320x240 frames and the (2, 3) matrix between them, RGB pixels to IR pixels.

    `folder` and `name` say which pair; `scene` is the same for pairs that show the same place.
    """

    folder: str
    name: str
    scene: str
    ir: Frame
    rgb: Frame
    matrix_rgb_to_ir: Float64Array


@dataclass(frozen=True)
class LandmarkPair:
    """Two real frames, and (K, 2) corresponding points in their pixels."""

    name: str
    ir: Frame
    rgb: Frame
    points_ir: Float64Array
    points_rgb: Float64Array


def pair_folders(data: Path) -> list[Path]:
    """Folders with rgb/ and ir/ in them, at any depth of `data`, sorted."""
    return sorted(path.parent for path in data.rglob("ir") if (path.parent / "rgb").is_dir())


def is_clip(folder: Path) -> bool:
    """Whether the pairs of `folder` are frames of one video."""
    return folder.resolve().parent.name == CLIPS


def held_out_files(folder: Path, held_out: HeldOut) -> Files:
    """(IR file, RGB file) of the pairs of `folder` that no training has seen, sorted by name.

    A folder that `held_out` does not name is foreign data, and used entirely; an empty list there means that all of it
    was trained on.
    """
    rgb = {path.stem: path for path in (folder / "rgb").iterdir()}
    pairs = [(path, rgb[path.stem]) for path in sorted((folder / "ir").iterdir()) if path.stem in rgb]
    stems = held_out.get(folder.name, "all")
    return pairs if stems == "all" else [pair for pair in pairs if pair[0].stem in stems]


def single_frame_files(folder: Path, held_out: HeldOut) -> Files:
    """`held_out_files`, thinned where the folder is a clip."""
    return held_out_files(folder, held_out)[:: EVERY_CLIP_FRAME if is_clip(folder) else 1]


def protocol_s(folder: Path, files: Files) -> Iterator[KnownPair]:
    """Aligned pairs to known pairs within NARROW."""
    return _known_pairs(folder, files, NARROW, grow=False)


def protocol_wide(folder: Path, files: Files) -> Iterator[KnownPair]:
    """Aligned pairs to known pairs within WIDE."""
    return _known_pairs(folder, files, WIDE, grow=True)


def landmark_pairs(folder: Path) -> Iterator[LandmarkPair]:
    """Pairs `N_ir.png`, `N_rgb.png`, `N.json` with lists `ir` and `rgb` of [x, y] in px."""
    for points_file in sorted(folder.glob("*.json")):
        points = json.loads(points_file.read_text(encoding="utf-8"))
        ir, rgb = (read(folder / f"{points_file.stem}_{role}.png") for role in ("ir", "rgb"))
        yield LandmarkPair(points_file.stem, ir, rgb, np.array(points["ir"], float), np.array(points["rgb"], float))


def random_affine(rng: np.random.Generator, draw: Draw = NARROW, canvas_hw: SizeHw = CANVAS_HW) -> Float64Array:
    """A (2, 3) affine about the centre of the canvas, px; draws in the order shift x, y, rotation, scale, shear."""
    h, w = FRAME_HW
    shift = np.array([rng.uniform(-draw.shift, draw.shift) * side for side in (w, h)])
    angle = np.deg2rad(rng.uniform(-draw.rotation_deg, draw.rotation_deg))
    scale = np.exp(rng.uniform(*np.log(draw.scale))) if draw.log_scale else rng.uniform(*draw.scale)
    shear = np.deg2rad(rng.uniform(-draw.shear_deg, draw.shear_deg))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * rotation @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]])
    centre = (np.array(canvas_hw[::-1]) - 1.0) / 2.0
    return np.column_stack([linear, centre + shift - linear @ centre])


def cut_frames(
    ir: Frame, rgb: Frame, affine: Float64Array, matrix_rgb_to_ir: Float64Array = ALIGNED
) -> tuple[Frame, Frame, Float64Array]:
    """Two canvases (H, W[, C]), the affine to warp the IR one by, and the (2, 3) matrix between them before that: the
    central 320x240 of both, and the matrix between these.
    """
    canvas_hw = (rgb.shape[0], rgb.shape[1])
    cut, to_canvas = central_cut(canvas_hw)
    warped = cv2.warpAffine(ir, affine, canvas_hw[::-1], flags=cv2.INTER_LINEAR).astype(np.uint8)
    matrix = compose(invert(to_canvas), compose(affine, compose(matrix_rgb_to_ir, to_canvas)))
    return np.ascontiguousarray(warped[cut]), np.ascontiguousarray(rgb[cut]).astype(np.uint8), matrix


def central_cut(canvas_hw: SizeHw) -> tuple[tuple[slice, slice], Float64Array]:
    """Where the central 320x240 of a canvas lies, and the (2, 3) matrix from its pixels to the canvas's."""
    top, left = ((canvas_hw[i] - FRAME_HW[i]) // 2 for i in range(2))
    cut = slice(top, top + FRAME_HW[0]), slice(left, left + FRAME_HW[1])
    return cut, np.array([[1.0, 0.0, left], [0.0, 1.0, top]])


def on_canvas(file: Path, canvas_hw: SizeHw = CANVAS_HW) -> NDArray[np.uint8]:
    """A picture brought to the canvas, each axis on its own, (H, W, 3) uint8 BGR."""
    image = read(file)
    shrinks = image.shape[0] > canvas_hw[0] and image.shape[1] > canvas_hw[1]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, canvas_hw[::-1], interpolation=mode).astype(np.uint8)


def read(file: Path) -> NDArray[np.uint8]:
    """A picture as (h, w, 3) uint8 BGR; ends the program with a message if it cannot be read."""
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"cannot read {file}")
    return image.astype(np.uint8)


def scene_of(folder: Path, stem: str) -> str:
    """A name that pairs of the same place share."""
    return folder.name if is_clip(folder) else f"{folder.name}/{stem}"


def grown_canvas(draw: Draw, seed: int) -> SizeHw:
    """The smallest canvas, from CANVAS_HW up, on which the draw of `seed` leaves no border in the 320x240 cut."""
    affine = random_affine(np.random.default_rng(seed), draw, (1, 1))
    h, w = FRAME_HW
    corners = np.array([[x * w / 2.0, y * h / 2.0] for x in (-1, 1) for y in (-1, 1)])
    reach_xy = np.abs(apply_affine(invert(affine), corners)).max(axis=0) + 1.0
    growth = max(1.0, *(reach_xy / (np.array(CANVAS_HW[::-1]) / 2.0)))
    return int(np.ceil(CANVAS_HW[0] * growth)), int(np.ceil(CANVAS_HW[1] * growth))


def _known_pairs(folder: Path, files: Files, draw: Draw, grow: bool) -> Iterator[KnownPair]:
    for number, (ir_file, rgb_file) in enumerate(files):
        seed = FIRST_SEED + number
        canvas_hw = grown_canvas(draw, seed) if grow else CANVAS_HW
        affine = random_affine(np.random.default_rng(seed), draw, canvas_hw)
        frames = cut_frames(on_canvas(ir_file, canvas_hw), on_canvas(rgb_file, canvas_hw), affine)
        yield KnownPair(folder.name, ir_file.stem, scene_of(folder, ir_file.stem), *frames)
