"""Which pairs are drawn, and what stands above them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from vr.runtime import Aligner
from vr.runtime.errors import OutputError
from vr.train.before_after import Look, draw
from vr.train.evaluate.pairs import Sample
from vr.train.evaluate.rows import Row, align
from vr.train.evaluate.summary import quality
from vr.train.report import save_picture

OVERVIEW_PAIRS = 6
Read = Callable[[int], Sample]


def chosen(rows: Sequence[Row], count: int) -> list[int]:
    """The first `count` rows and the `count` worst, by their places, each once."""
    worst = sorted(range(len(rows)), key=lambda index: quality(rows[index]))[:count]
    return sorted({*range(min(count, len(rows))), *worst})


def overview_of(rows: Sequence[Row]) -> list[int]:
    """Places of up to six rows from the best to the worst, at even steps of rank."""
    ranked = sorted(range(len(rows)), key=lambda index: -quality(rows[index]))
    count = min(OVERVIEW_PAIRS, len(rows))
    return [ranked[round(step * (len(rows) - 1) / max(count - 1, 1))] for step in range(count)]


def draw_pairs(aligner: Aligner, rows: Sequence[Row], read: Read, count: int, out: Path) -> None:
    """Writes `out/pictures/STEM.png` of the chosen pairs, and `out/overview.png`; the pairs are aligned once more.

    read: the sample of a row by its place. Raises OutputError if a picture cannot be written.
    """
    try:
        (out / "pictures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {out / 'pictures'} ({error.strerror}); name another --out") from error
    for index in chosen(rows, count):
        save_picture(draw([_look(aligner, rows[index], read(index))]), out / "pictures" / f"{rows[index].stem}.png")
    best_to_worst = [_look(aligner, rows[index], read(index)) for index in overview_of(rows)]
    save_picture(draw(best_to_worst), out / "overview.png")


def title_of(row: Row) -> str:
    """Which pair, and what is known of its alignment."""
    parts = [row.stem, row.state]
    if row.confidence is not None:
        parts.append(f"confidence {row.confidence:.2f}")
    for name, before, after in (
        ("error", row.error_before_px, row.error_px),
        ("landmarks", row.landmark_before_px, row.landmark_px),
    ):
        if before is not None:
            parts.append(f"{name} {before:.1f} px before" + ("" if after is None else f", {after:.1f} px after"))
    if row.dice_before is not None:
        parts.append(f"Dice {row.dice_before:.3f} before" + ("" if row.dice is None else f", {row.dice:.3f} after"))
    return "; ".join(parts)


def _look(aligner: Aligner, row: Row, sample: Sample) -> Look:
    return Look(sample.ir, sample.rgb, align(aligner, sample).moved, title_of(row))
