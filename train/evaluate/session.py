"""One call of `vr-train evaluate`: checks everything first, measures pair by pair, then writes."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from vr.runtime import Aligner
from vr.runtime.errors import InputError, VrError
from vr.runtime.stopping import stop_on_signals
from vr.train.data import check_images
from vr.train.evaluate.models import load_model
from vr.train.evaluate.pairs import KnownPair, Sample, known_pairs, read_sample, warped
from vr.train.evaluate.pictures import draw_pairs
from vr.train.evaluate.rows import Row, measure
from vr.train.evaluate.similarity import DEFAULT_MEASURES
from vr.train.evaluate.summary import Figures, summarise
from vr.train.progress import progress_bar
from vr.train.report import save_figures, save_text
from vr.train.run_folder import RunFolder


@dataclass(frozen=True)
class Request:
    """What the user asked for. part: see `pairs.known_pairs`. warps: move every IR side by a random affine, drawn from
    `seed`. pictures: how many of the first and of the worst pairs are drawn; 0 draws none.
    """

    model: str
    data: Path
    out: Path
    part: str | None = None
    warps: bool = False
    seed: int = 0
    pictures: int = 8
    similarities: tuple[str, ...] = DEFAULT_MEASURES


class Reader:
    """Samples by their place in the list; one is in memory at a time."""

    def __init__(self, request: Request, pairs: list[KnownPair], mode: str) -> None:
        self._request, self._pairs, self._mode = request, pairs, mode

    def __call__(self, index: int) -> Sample:
        """The pair, moved by its random affine if that is asked for."""
        sample = read_sample(self._pairs[index], self._mode)
        return warped(sample, self._request.seed, index) if self._request.warps else sample


def run_evaluate(request: Request) -> Figures:
    """Measures and returns what `figures.json` holds.

    Writes into the new folder `request.out`: `figures.json` (summary and settings), `pairs.csv` (a line per pair),
    `pictures/STEM.png` and `overview.png`. Raises a VrError before anything is written if the input is unusable, and
    KeyboardInterrupt after Ctrl-C, when the figures of the pairs so far are written.
    """
    _check_similarities(request.similarities)
    folder = RunFolder(request.out)
    folder.check_free(resumable=False)
    aligner = load_model(request.model)
    pairs = known_pairs(request.data, request.part)
    check_images([image for one in pairs for image in (one.pair, one.masks) if image is not None])
    folder.start()
    read = Reader(request, pairs, aligner.info.mode)
    with stop_on_signals() as stop, progress_bar(len(pairs), unit="pairs", vanishes=True) as on_pair:
        rows, fault = _measure_all(aligner, len(pairs), read, request.similarities, stop.is_set, on_pair)
    figures = _write(request, aligner, rows, len(pairs))
    if fault is not None:
        raise fault
    if len(rows) < len(pairs):
        typer.echo(f"stopped after {len(rows)} of {len(pairs)} pairs; their figures are in {request.out}", err=True)
        raise KeyboardInterrupt
    if request.pictures:
        draw_pairs(aligner, rows, read, request.pictures, request.out)
    return figures


def _measure_all(
    aligner: Aligner,
    count: int,
    read: Reader,
    similarities: tuple[str, ...],
    should_stop: Callable[[], bool],
    on_pair: Callable[[], None],
) -> tuple[list[Row], VrError | None]:
    """The rows up to the end, a stop, or the fault that ended it."""
    rows: list[Row] = []
    for index in range(count):
        if should_stop():
            break
        try:
            rows.append(measure(aligner, read(index), similarities))
        except VrError as error:
            return rows, error
        on_pair()
    return rows, None


def _write(request: Request, aligner: Aligner, rows: list[Row], count: int) -> Figures:
    info = aligner.info
    settings = {**asdict(request), "data": str(request.data), "out": str(request.out)}
    model = {"network": info.network, "kind": info.kind, "mode": info.mode, "size_hw": list(info.size_hw)}
    figures: Figures = {
        "complete": len(rows) == count,
        **summarise(rows),
        "settings": {**settings, "similarities": list(request.similarities)},
        "model": {**model, "training_run": info.training_run},
    }
    save_figures(request.out / "figures.json", figures)
    _save_csv(request.out / "pairs.csv", rows)
    return figures


def _save_csv(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0].to_csv()), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _rounded(value) for name, value in row.to_csv().items()})
    save_text(path, text.getvalue())


def _rounded(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def _check_similarities(names: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in DEFAULT_MEASURES]
    if unknown:
        raise InputError(f"similarity {unknown[0]!r} is unknown; expected some of {', '.join(DEFAULT_MEASURES)}")
