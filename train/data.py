"""Folders of image pairs: a data set is a folder with `rgb/` and `ir/`; files with the same stem are one
pair. A `manifest.jsonl` of `vr-train prepare` in it, or beside its folder `masks`, says which pairs belong to which
part.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.preprocess import Frame, check_frame, to_gray
from vr.runtime.sources.image_bytes import decode_image

SUFFIXES = (".jpg", ".jpeg", ".png")
MANIFEST = "manifest.jsonl"
PARTS = ("train", "val", "test")
_NAMED_AT_MOST = 5

Item = TypeVar("Item")

HeldOut = dict[str, set[str] | None]
"""Folder name to the stems that are held out of training; None means all of them."""


@dataclass(frozen=True)
class Pair:
    """The two files of one pair. part: "train", "val" or "test" by the manifest of its folder, None without one."""

    stem: str
    ir: Path
    rgb: Path
    part: str | None = None


@dataclass(frozen=True)
class Split:
    """Pairs for learning, for choosing the best epoch, and for the final figures."""

    train: list[Pair]
    val: list[Pair]
    test: list[Pair]

    @property
    def all_pairs(self) -> list[Pair]:
        """Every pair once, in sorted order."""
        return [*self.train, *self.val, *self.test]


def list_pairs(folder: Path) -> list[Pair]:
    """The pairs of `folder`, sorted by stem.

    Raises InputError if `folder`, `folder/rgb` or `folder/ir` is missing or empty, if a stem is on one side
    only (says how many and which), if two files of one side share a stem, or if the folder's manifest is damaged or
    lacks a pair.
    """
    return [Pair(stem, ir, rgb, part) for stem, rgb, ir, part in match_stems(folder, ("rgb", "ir"))]


def match_stems(folder: Path, sides: tuple[str, str]) -> list[tuple[str, Path, Path, str | None]]:
    """Stem, the files of both subfolders `sides`, and the part by the manifest, sorted by stem; raises as
    `list_pairs`.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; expected a folder with {sides[0]}/ and {sides[1]}/ in it")
    one, other = (_by_stem(folder / side) for side in sides)
    lonely = [f"{sides[0]}/{stem}" for stem in sorted(one.keys() - other.keys())]
    lonely += [f"{sides[1]}/{stem}" for stem in sorted(other.keys() - one.keys())]
    if lonely:
        raise InputError(
            f"{len(lonely)} image(s) in {folder} have no partner with the same stem: {some(lonely)}; "
            "add the missing images or take these away"
        )
    parts = _read_parts(folder)
    strangers = [] if parts is None else sorted(one.keys() - parts.keys())
    if strangers:
        raise InputError(
            f"{len(strangers)} pair(s) in {folder} are not in its {MANIFEST}: {some(strangers)}; take them away, or "
            "take the manifest away to split anew"
        )
    return [(stem, one[stem], other[stem], parts[stem] if parts else None) for stem in sorted(one)]


def split_pairs(pairs: list[Pair], val_share: float, test_share: float) -> Split:
    """The parts that the manifest names, if every pair comes from a folder with one. Else contiguous blocks of the
    sorted pairs: first train, then val, then test.

    Blocks and no shuffling, because neighbouring frames of a video are nearly the same picture. Val and
    test get at least one pair each. Raises InputError if none is left to train on, or if a part that a manifest names
    is empty.
    """
    parts = assign_parts([pair.part for pair in pairs], val_share, test_share)
    return Split(*([pair for pair, part in zip(pairs, parts, strict=True) if part == name] for name in PARTS))


def assign_parts(parts: list[str | None], val_share: float, test_share: float) -> list[str]:
    """The part of each of the sorted pairs, as `split_pairs`; parts: by the manifest, None without one."""
    named = [part for part in parts if part]
    if parts and len(named) == len(parts):
        _check_parts(named)
        return named
    count = len(parts)
    if count < 3:
        raise InputError(f"only {count} pair(s) to train on; expected at least 3 (one each to train, validate, test)")
    val, test = (max(1, round(count * share)) for share in (val_share, test_share))
    if count - val - test < 1:
        raise InputError(f"{count} pairs leave none to train on with val_share {val_share}, test_share {test_share}")
    return ["train"] * (count - val - test) + ["val"] * val + ["test"] * test


def read_held_out(path: Path) -> HeldOut:
    """Which pairs a training must not see: a JSON object, folder name to a list of stems, or to "all".

    Raises InputError if it is not that.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path} ({error}); expected JSON: folder name to a list of stems") from error
    good = isinstance(content, dict) and all(v == "all" or isinstance(v, list) for v in content.values())  # pyright: ignore
    if not good:
        raise InputError(f'{path} should be a JSON object: folder name to a list of stems, or to "all"')
    return {name: None if stems == "all" else {str(stem) for stem in stems} for name, stems in content.items()}  # pyright: ignore


def split_held_out(folder: Path, held_out: HeldOut, val_share: float) -> Split:
    """Pairs named in `held_out` are the test part, and those that the folder's manifest keeps for it; the last block of
    the others is for validation, or what the manifest names.

    A folder that neither names has no test part. Raises InputError as `list_pairs`.
    """
    pairs = list_pairs(folder)
    stems = held_out.get(folder.name, set())
    test = pairs if stems is None else [pair for pair in pairs if pair.stem in stems or pair.part == "test"]
    rest = [pair for pair in pairs if pair not in test]
    if rest and all(pair.part for pair in rest):
        train, val = ([pair for pair in rest if pair.part == part] for part in ("train", "val"))
        return Split(train, val, test)
    val = min(len(rest), max(1, round(len(rest) * val_share)))
    return Split(rest[: len(rest) - val], rest[len(rest) - val :], test)


def read_image(path: Path) -> Frame:
    """(h, w, 3) uint8 or uint16 BGR, also for a grey file.

    Raises InputError naming a file that is missing, empty, no image, or of an unusable size.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read image {path} ({error.strerror})") from error
    if not content:
        raise InputError(f"image {path} is empty (0 bytes); replace it or take the pair away")
    image = decode_image(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, str(path))
    check_frame(image, str(path))
    return image


def read_ir(path: Path) -> Frame:
    """An IR frame as the aligner takes it: (h, w, 3) uint8, or (h, w) uint16. Raises InputError as `read_image`."""
    ir = read_image(path)
    return ir if ir.dtype == np.uint8 else np.ascontiguousarray(ir[..., 0], np.uint16)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """A mask file (person bright) to (h, w) uint8, person 1, rest 0; files of 0/1 and of 0/255 (JPEG too)
    both work.

    Raises InputError as `read_image`.
    """
    gray = to_gray(read_image(path))
    return (gray > (127 if gray.max() > 1 else 0)).astype(np.uint8)


def check_images(pairs: list[Pair]) -> None:
    """Reads every image once, so that a run does not end on a broken file after hours.

    Raises InputError saying how many cannot be read, and which.
    """
    check_all(_fault, [path for pair in pairs for path in (pair.rgb, pair.ir)])


def check_all(fault: Callable[[Item], str], items: list[Item]) -> None:
    """Raises InputError saying how many images have a `fault` (what is wrong, "" for nothing), and which."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        errors = [error for error in pool.map(fault, items) if error]
    if len(errors) > 1:
        raise InputError(f"{len(errors)} images cannot be used: {some(errors)}")
    if errors:
        raise InputError(errors[0])


def _fault(path: Path) -> str:
    try:
        read_image(path)
    except InputError as error:
        return str(error)
    return ""


def _check_parts(parts: list[str]) -> None:
    train, val, test = (parts.count(part) for part in PARTS)
    if not (train and val and test):
        raise InputError(
            f"the manifest's split has {train} pairs to train, {val} to validate, {test} to test; "
            "expected at least 1 each: prepare more recordings or other --shares, or take the manifest away"
        )


def _read_parts(folder: Path) -> dict[str, str | None] | None:
    """Stem to part of the kept pairs in the manifest of `folder`; None without one. A torn last line is skipped."""
    path = (folder.parent if folder.name == "masks" else folder) / MANIFEST
    if not path.is_file():
        return None
    content = path.read_bytes()
    try:
        lines = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
        return {line["stem"]: _checked_part(line["split"]) for line in lines if line["decision"] == "kept"}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a manifest of vr-train prepare ({error}); prepare again, or take it away"
        ) from error


def _checked_part(part: object) -> str | None:
    if part is not None and part not in PARTS:
        raise ValueError(f"unknown part {part!r}")
    return part  # type: ignore[return-value]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; expected one with {', '.join(SUFFIXES)} images")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise InputError(f"{folder} has both {found[path.stem].name} and {path.name}; expected one file per stem")
        found[path.stem] = path
    if not found:
        raise InputError(f"no {', '.join(SUFFIXES)} image in {folder}")
    return found


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
