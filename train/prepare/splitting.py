"""Train, val and test as contiguous blocks that share no scene."""

import numpy as np
from numpy.typing import NDArray

PARTS = ("train", "val", "test")
GUARD = "guard"

_CUT_CORRELATION = 0.4
_GUARD_SHARE = 0.1

Uint8s = NDArray[np.uint8]


def scene_numbers(sources: list[int], thumbs: list[Uint8s]) -> list[int]:
    """A scene begins where the source changes, or the picture no longer resembles the one before (a cut)."""
    scenes: list[int] = []
    for number, source in enumerate(sources):
        if not number:
            scenes.append(0)
            continue
        begins = source != sources[number - 1] or _correlation(thumbs[number], thumbs[number - 1]) < _CUT_CORRELATION
        scenes.append(scenes[-1] + int(begins))
    return scenes


def assign_parts(
    scenes: list[int], times_s: list[float], shares: tuple[float, float, float], guard_s: float
) -> list[str]:
    """The part of each pair: train, val, test, or guard.

    scenes, times_s: of the pairs, in order. A block ends where a scene does, if one ends near enough to what `shares`
    asks for. Else a long scene is divided, and `guard_s` of it (at most a tenth of all pairs) left out in between.
    """
    count = len(scenes)
    if count < len(PARTS):
        return ["train"] * count
    train, val, test = (share / sum(shares) for share in shares)
    end, val_from = _boundary(scenes, times_s, (0, train * count, count), guard_s)
    rest = count - val_from
    part = val / (val + test) if val + test > 0.0 else 0.0
    # A second gap as wide as the first is to be expected.
    ideal = val_from + part * max(rest - (val_from - end), rest / 2)
    val_end, test_from = _boundary(scenes, times_s, (val_from, ideal, count), guard_s)
    blocks = [("train", end), (GUARD, val_from), ("val", val_end), (GUARD, test_from), ("test", count)]
    parts: list[str] = []
    for name, until in blocks:
        parts += [name] * (until - len(parts))
    return parts


def _boundary(
    scenes: list[int], times_s: list[float], where: tuple[int, float, int], guard_s: float
) -> tuple[int, int]:
    """End of one block and begin of the next within `where` (first, ideal, end)."""
    first, ideal, end = where
    if ideal <= first or ideal >= end:
        return round(ideal), round(ideal)
    starts = [n for n in range(first + 1, end) if scenes[n] != scenes[n - 1]]
    near = min(starts, key=lambda n: abs(n - ideal), default=None)
    if near is not None and abs(near - ideal) <= 0.5 * min(ideal - first, end - ideal):
        return near, near
    cut = min(max(round(ideal), first + 1), end - 1)
    after, most = cut, min(round(_GUARD_SHARE * len(scenes)), (end - cut) // 2)
    while after < cut + most and scenes[after] == scenes[cut - 1] and times_s[after] < times_s[cut - 1] + guard_s:
        after += 1
    return cut, after


def _correlation(a: Uint8s, b: Uint8s) -> float:
    x, y = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 1e-9 else 1.0
