"""The second pass: reads again, and writes what the plan keeps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import cv2
import numpy as np

from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.preprocess import Frame, to_bgr, to_gray
from vr.train.prepare.folder import DatasetFolder, Line
from vr.train.prepare.inputs import Input
from vr.train.prepare.masks import MaskMaker, PairMasks, Segmenters, resized
from vr.train.prepare.plan import Plan, Planned, PlannedSource
from vr.train.prepare.settings import Settings
from vr.train.prepare.sheet import Examples

NO_MASKS = PairMasks(None, None, "", "")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """Everything that the second pass needs."""

    plan: Plan
    inputs: list[Input]
    settings: Settings
    folder: DatasetFolder
    segmenters: Segmenters


def write_pairs(job: Job, lines: list[Line], should_stop: Callable[[], bool], on_pair: Callable[[], None]) -> bool:
    """Goes on after the `lines` that the manifest holds; adds to them. False if `should_stop` ended it early.

    Raises InputError if the lines do not fit the plan, or a recording cannot be read as before; OutputError if
    something cannot be written.
    """
    _check_prefix(job.plan, lines)
    examples = Examples(job.folder, job.plan)
    sources: dict[int, _OpenSource] = {}
    for pair in job.plan.pairs[len(lines) :]:
        if should_stop():
            return False
        if pair.source not in sources:
            sources = {pair.source: _OpenSource(job, pair.source)}
        line = _write_pair(job, sources[pair.source], pair, examples)
        job.folder.append(line)
        lines.append(line)
        on_pair()
    return True


def _write_pair(job: Job, source: "_OpenSource", pair: Planned, examples: Examples) -> Line:
    masks = NO_MASKS
    if not pair.reason or examples.wants(pair):
        ir, rgb = source.frames(pair)
        masks = NO_MASKS if pair.reason else source.masks(pair, ir, rgb)
        if pair.reason or masks.reason:
            examples.add(pair, pair.reason or masks.reason, ir, rgb)
        else:
            _write_files(job, pair, source.prepared(ir, rgb), masks)
    return _line(source.planned, pair, masks)


def _write_files(job: Job, pair: Planned, frames: tuple[Frame, Frame], masks: PairMasks) -> None:
    for name, frame in zip(("ir", "rgb"), frames, strict=True):
        suffix = "png" if frame.dtype == np.uint16 else job.settings.format
        job.folder.write_image(f"{name}/{pair.stem}.{suffix}", frame)
    for name, mask, frame in zip(("ir", "rgb"), (masks.ir, masks.rgb), frames, strict=True):
        if mask is not None:
            size_hw = frame.shape[0], frame.shape[1]
            job.folder.write_image(f"masks/{name}/{pair.stem}.png", resized(mask, size_hw) * np.uint8(255))


class _OpenSource:
    """One pair of recordings while it is read for the second time."""

    def __init__(self, job: Job, number: int) -> None:
        self.planned = job.plan.sources[number]
        self._settings = job.settings
        source = job.inputs[number]
        self._ir = _Cursor((s.frame for s in source.ir.frames()), source.ir.name)
        self._rgb = _Cursor((s.frame for s in source.rgb.frames()), source.rgb.name)
        stored = source.stored_masks()
        self._stored = None if stored is None else [_Cursor(masks, source.rgb.name) for masks in stored]
        is_asked = stored is not None or job.settings.masks != "none"
        self._maker = MaskMaker(self.planned, job.settings, job.segmenters) if is_asked else None

    def frames(self, pair: Planned) -> tuple[Frame, Frame]:
        """The IR and the RGB frame as they were read."""
        return self._ir.at(pair.ir), self._rgb.at(pair.rgb)

    def masks(self, pair: Planned, ir: Frame, rgb: Frame) -> PairMasks:
        """Masks of the native frames."""
        if self._maker is None:
            return NO_MASKS
        if self._stored is not None:
            return self._maker.judge(self._stored[0].at(pair.ir), self._stored[1].at(pair.rgb))
        return self._maker.make(ir, rgb, pair.ir)

    def prepared(self, ir: Frame, rgb: Frame) -> tuple[Frame, Frame]:
        """As they are stored: RGB in BGR, IR grey unless it has colours, of RGB's size if that is asked for."""
        bgr = to_bgr(rgb)
        if ir.dtype == np.uint8 and not self.planned.ir.is_coloured:
            ir = to_gray(ir)
        if self._settings.resize:
            ir = _resized(ir, (bgr.shape[0], bgr.shape[1]))
        return ir, bgr


class _Cursor(Generic[Item]):
    """Items by their position, which may only rise."""

    def __init__(self, items: Iterator[Item], name: str) -> None:
        self._items, self._name = enumerate(items), name
        self._now: tuple[int, Item] | None = None

    def at(self, position: int) -> Item:
        """The item at `position`. Raises InputError if there is none any more."""
        while self._now is None or self._now[0] < position:
            self._now = next(self._items, None)
            if self._now is None:
                raise InputError(f"{self._name} has fewer frames than a moment ago; leave the recordings as they are")
        return self._now[1]


def _resized(frame: Frame, size_hw: SizeHw) -> Frame:
    """(h, w[, 3]) uint8 or uint16 to `size_hw`: area average when shrinking, linear when growing."""
    if frame.shape[:2] == size_hw:
        return frame
    shrinks = frame.shape[0] >= size_hw[0] and frame.shape[1] >= size_hw[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, size_hw[::-1], interpolation=interpolation)  # type: ignore[return-value]


def _line(source: PlannedSource, pair: Planned, masks: PairMasks) -> Line:
    reason = pair.reason or masks.reason
    ir, rgb = source.ir, source.rgb
    line: dict[str, Any] = {"stem": pair.stem, "ir_source": ir.name, "rgb_source": rgb.name}
    line |= {"ir_frame": pair.ir_frame, "rgb_frame": pair.rgb_frame}
    line |= {"ir_time_s": round(pair.ir_time_s, 4), "rgb_time_s": round(pair.rgb_time_s, 4)}
    line |= {"decision": "dropped" if reason else "kept", "reason": reason or None}
    line |= {"split": None if reason else pair.split or None, "detail": masks.detail or _detail(source, pair) or None}
    return line


def _detail(source: PlannedSource, pair: Planned) -> str:
    """What was measured, for the reasons that rest on a number."""
    ir, rgb = source.ir, source.rgb
    return {
        "dark": f"{rgb.dark[pair.rgb]:.1%} of the RGB pixels are dark",
        "frozen": f"IR differs by {ir.change[pair.ir]:.2f} levels from the frame before",
        "empty": f"deviation of IR {ir.detail[pair.ir]:.1f}, of RGB {rgb.detail[pair.rgb]:.1f} levels",
    }.get(pair.reason, "")


def _check_prefix(plan: Plan, lines: list[Line]) -> None:
    fits = len(lines) <= len(plan.pairs) and all(
        line.get("stem") == pair.stem and line.get("ir_frame") == pair.ir_frame
        for line, pair in zip(lines, plan.pairs, strict=False)
    )
    if not fits:
        raise InputError("the manifest does not fit these recordings, they have changed; start in a new folder")
