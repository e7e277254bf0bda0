"""What becomes of each pair of frames, decided from the surveys before anything is written."""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from vr.runtime.errors import InputError
from vr.train.prepare import filters, splitting
from vr.train.prepare.pairing import Pairs, pair_times
from vr.train.prepare.settings import Settings
from vr.train.prepare.survey import Survey, Uint8s
from vr.train.prepare.timing import Offset, estimate_offset

DARK, FROZEN, EMPTY, DUPLICATE, GUARD = "dark", "frozen", "empty", "duplicate", splitting.GUARD
NO_PERSON, IMPLAUSIBLE = "no person", "implausible mask"
REASONS = (DARK, FROZEN, EMPTY, DUPLICATE, GUARD, NO_PERSON, IMPLAUSIBLE)


@dataclass(frozen=True)
class Planned:
    """One examined pair. ir, rgb: positions among the readable frames; ir_frame, rgb_frame: numbers in the source;
    times in s of each source's own clock. reason: why it is dropped, "" for kept (masks may still drop it). split: its
    part of the data set, "" if dropped or not split.
    """

    source: int
    ir: int
    rgb: int
    ir_frame: int
    rgb_frame: int
    ir_time_s: float
    rgb_time_s: float
    reason: str
    split: str
    stem: str


@dataclass(frozen=True)
class PlannedSource:
    """One pair of recordings: the surveys, the offset, and how many frames had no partner."""

    ir: Survey
    rgb: Survey
    offset: Offset | None
    offset_ms: float
    pairs: Pairs = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """All sources, and all examined pairs in order."""

    sources: list[PlannedSource]
    pairs: list[Planned]

    @property
    def dropped(self) -> Counter[str]:
        """Number of pairs by reason, as far as it is known before masks are made."""
        return Counter(pair.reason for pair in self.pairs if pair.reason)


def plan_source(ir: Survey, rgb: Survey, settings: Settings, is_aligned: bool) -> PlannedSource:
    """Finds the offset in time and the pairs. `is_aligned`: frame n belongs to frame n.

    Raises InputError if no offset is given and none can be told, or if no frame has a partner.
    """
    offset = None
    offset_ms = 0.0 if is_aligned else settings.offset_ms
    if offset_ms is None:
        offset = _estimate(ir, rgb, settings)
        offset_ms = offset.offset_ms
    return PlannedSource(ir, rgb, offset, offset_ms, pair_times(ir.time_s, rgb.time_s, offset_ms, settings.slop_ms))


def make_plan(sources: list[PlannedSource], settings: Settings) -> Plan:
    """Decides on every pair, and to which part of the data set it belongs."""
    pairs: list[Planned] = []
    for number, source in enumerate(sources):
        pairs += _decide(number, source, settings, width=len(str(len(sources) - 1)))
    return Plan(sources, _split(pairs, sources, settings) if settings.split else pairs)


def _estimate(ir: Survey, rgb: Survey, settings: Settings) -> Offset:
    dark, frozen = filters.dark_frames(rgb, settings.dark_share), filters.frozen_frames(ir)
    ir_motion = ir.motion(filters.usable_for_timing(ir, frozen))
    rgb_motion = rgb.motion(filters.usable_for_timing(rgb, dark))
    try:
        return estimate_offset(ir_motion, rgb_motion, settings.max_offset_s)
    except InputError as error:
        raise InputError(f"{ir.name} and {rgb.name}: {error}") from error


def _decide(number: int, source: PlannedSource, settings: Settings, width: int) -> list[Planned]:
    ir, rgb = source.ir, source.rgb
    reasons = _reasons(source, settings)
    kept: tuple[int, int] | None = None
    planned: list[Planned] = []
    for position, (i, r) in enumerate(zip(source.pairs.ir.tolist(), source.pairs.rgb.tolist(), strict=True)):
        reason = reasons[position]
        if not reason and settings.duplicates and kept is not None and _is_duplicate(source, (i, r), kept):
            reason = DUPLICATE
        kept = kept if reason else (i, r)
        frames = int(ir.index[i]), int(rgb.index[r])
        times_s = float(ir.time_s[i]), float(rgb.time_s[r])
        planned.append(Planned(number, i, r, *frames, *times_s, reason, "", f"{number:0{width}d}_{frames[1]:06d}"))
    return planned


def _is_duplicate(source: PlannedSource, now: tuple[int, int], kept: tuple[int, int]) -> bool:
    ir, rgb = source.ir.thumbs, source.rgb.thumbs
    return filters.is_duplicate((ir[now[0]], ir[kept[0]]), (rgb[now[1]], rgb[kept[1]]))


def _reasons(source: PlannedSource, settings: Settings) -> list[str]:
    """Per pair the first reason to drop it that one pair alone gives, "" if there is none."""
    ir, rgb, pairs = source.ir, source.rgb, source.pairs
    never = np.zeros(len(pairs.ir), bool)
    dark = filters.dark_frames(rgb, settings.dark_share)[pairs.rgb] if settings.dark else never
    frozen = filters.frozen_frames(ir)[pairs.ir] if settings.frozen else never
    empty = never
    if settings.empty:
        empty = filters.empty_frames(ir, settings.least_detail)[pairs.ir]
        empty = empty | filters.empty_frames(rgb, settings.least_detail)[pairs.rgb]
    return np.select([dark, frozen, empty], [DARK, FROZEN, EMPTY], "").tolist()


def _split(pairs: list[Planned], sources: list[PlannedSource], settings: Settings) -> list[Planned]:
    kept = [pair for pair in pairs if not pair.reason]
    thumbs: list[Uint8s] = [sources[pair.source].rgb.thumbs[pair.rgb] for pair in kept]
    scenes = splitting.scene_numbers([pair.source for pair in kept], thumbs)
    parts = splitting.assign_parts(scenes, [pair.rgb_time_s for pair in kept], settings.shares, settings.guard_s)
    found = {(pair.source, pair.rgb): part for pair, part in zip(kept, parts, strict=True)}
    return [pair if pair.reason else _in_part(pair, found[pair.source, pair.rgb]) for pair in pairs]


def _in_part(pair: Planned, part: str) -> Planned:
    return replace(pair, reason=GUARD) if part == GUARD else replace(pair, split=part)
