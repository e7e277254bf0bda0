"""One call of `vr-train match --finetune`: footage of one's own rig, aligned by the network itself, teaches it more."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from vr.models.base import RegistrationNet
from vr.models.match import MatchNet
from vr.models.rig import RigNet
from vr.runtime.aligner import Aligner
from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.data import Pair, check_images, list_pairs, split_pairs
from vr.train.loop import resolve_device
from vr.train.match_loop import MatchConfig, MatchTrainer
from vr.train.match_session import TEST_SHARE, VAL_SHARE, Request, train_to_end
from vr.train.memory import keep_freed_memory
from vr.train.report import save_figures
from vr.train.rig_footage import VIEWS, OnDone, Rig, agreement, find_rig, systematic_error, write_aligned
from vr.train.run_folder import RunFolder
from vr.train.torch_session import TorchSession

FINETUNE = MatchConfig(
    steps=100,
    lr=3e-4,
    scenes=40,
    refine_from=0.0,
    polish_from=0.5,
    val_every=50,
    val_samples=40,
    shares={"pairs": 0.7, "pseudo": 0.1, "scenes": 0.2},
)
"""The recipe: slowly, without the coarse search's lead, and among generated scenes, lest those get lost."""


class FineTuner(MatchTrainer):
    """One fine-tuning. The judge stays as it was: one rig's pairs cannot teach it what does not belong together."""

    def finish(self) -> dict[str, Any]:
        """Nothing to tune or to judge; `keep` writes the checkpoint."""
        return {}

    def keep(self, net: RigNet) -> None:
        """Writes the checkpoint to export."""
        saved = replace(self._checkpoint(self.net), network=net.network, config=net.config, weights=net.state_dict())
        checkpoint.save(self.folder.best, saved)


def run_finetune_session(request: Request, config: MatchConfig) -> dict[str, Any]:
    """Adapts the matching network of `request.start` to the rig of the pairs in `request.folders`, which need not be
    aligned; returns the figures.

    Writes into `request.out`: `rig.json`, the aligned pairs (`aligned/`), and what `run_match_session` writes. Raises a
    VrError if the checkpoint or the footage is unusable, and KeyboardInterrupt after Ctrl-C, when the state is saved.
    """
    keep_freed_memory()
    saved = _checked(request)
    run_folder = RunFolder(request.out)
    state = run_folder.resume() if request.resume else None
    pairs = list_pairs(request.folders[0])
    check_images(pairs)
    if state is None:
        run_folder.start()
        _align(_aligner(saved.build(), saved.run), pairs, request.out, config.seed)
    theta = _saved_theta(request.out)
    trainer = _trainer(saved, request, config, run_folder)
    if state is not None:
        trainer.restore(state)
    else:
        trainer.start_from(_match_net(saved).state_dict())
    typer.echo(f"fine-tuning {saved.run} for {config.steps} steps on {trainer.device}; run {trainer.run}")
    train_to_end(trainer, request.resume_command)
    return _conclude(trainer, saved, pairs, theta)


def _checked(request: Request) -> Checkpoint:
    assert request.start is not None
    if len(request.folders) != 1:
        raise InputError(f"--finetune takes one folder, the pairs of one rig; {len(request.folders)} given")
    saved = checkpoint.load(request.start)
    if saved.network not in (MatchNet.network, RigNet.network):
        raise InputError(
            f"--finetune: {request.start} holds a {saved.network} network, expected match; "
            "vr-train affine and voxelmorph have a --finetune of their own"
        )
    return saved


def _match_net(saved: Checkpoint) -> MatchNet:
    net = saved.build()
    net = net.match if isinstance(net, RigNet) else net
    assert isinstance(net, MatchNet)
    return net


def _align(aligner: Aligner, pairs: list[Pair], out: Path, seed: int) -> None:
    """Finds the rig's transform, and writes it and the aligned pairs."""
    with _bar("finding the rig's transform", len(pairs) + VIEWS) as on_done:
        rig = find_rig(aligner, pairs, seed, on_done)
    typer.echo(
        f"{rig.answered:.0%} of {len(pairs)} pairs aligned, within {rig.scatter_px:.2f} px (median) of one transform"
    )
    write_aligned(pairs, rig.theta, out / "aligned")
    save_figures(out / "rig.json", _rig_figures(rig))


def _rig_figures(rig: Rig) -> dict[str, Any]:
    return {"theta": rig.theta.tolist(), "answered": rig.answered, "scatter_px": rig.scatter_px}


def _saved_theta(out: Path) -> Float64Array:
    try:
        return np.array(json.loads((out / "rig.json").read_text(encoding="utf-8"))["theta"], dtype=np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{out} holds no usable rig.json ({error}); start in a new folder") from error


def _trainer(saved: Checkpoint, request: Request, config: MatchConfig, run_folder: RunFolder) -> FineTuner:
    net = _match_net(saved)
    width, deep = (int(saved.config.get(name, default)) for name, default in (("width", 32), ("deep", 96)))
    config = replace(config, sizes={"base": (net.size_hw, net.rounds)}, width=width, deep=deep)
    split = split_pairs(list_pairs(request.out / "aligned"), VAL_SHARE, TEST_SHARE)
    run = f"{request.out.resolve().name}-{time.strftime('%Y%m%d')}-{config.seed}"
    return FineTuner(config, split, run_folder, run, resolve_device(request.device))


def _conclude(trainer: FineTuner, saved: Checkpoint, pairs: list[Pair], theta: Float64Array) -> dict[str, Any]:
    """Keeps the network that suits the rig best: the trained weights only if pairs that they have not seen say so."""
    seen = {pair.stem for pair in trainer.split.train}
    learned, unseen = ([pair for pair in pairs if (pair.stem in seen) == known] for known in (True, False))
    before = agreement(_aligner(saved.build(), saved.run), unseen, theta)
    plain, trained = (_without_error(net, learned, theta) for net in (_match_net(saved), trainer.net))
    of_plain, of_trained = (agreement(_aligner(net, trainer.run), unseen, theta) for net in (plain, trained))
    helped = of_trained.is_better_than(of_plain)
    trainer.keep(trained if helped else plain)
    after = of_trained if helped else of_plain
    figures: dict[str, Any] = {"run": trainer.run, "steps": trainer.step, "unseen_pairs": len(unseen)}
    figures |= {
        "kept_training": helped,
        "before": asdict(before),
        "after": asdict(after),
        "trained": asdict(of_trained),
    }
    save_figures(trainer.folder.figures, figures)
    typer.echo(
        f"{len(unseen)} pairs that were not trained on, median distance of their own answers from the rig's transform: "
        f"{before.scatter_px:.2f} px before, {after.scatter_px:.2f} px after, {_WHAT_HELPED[helped]}"
    )
    typer.echo(f"export it: vr-export {trainer.folder.best} -o model.onnx")
    return figures


_WHAT_HELPED = {
    True: "by training and by taking the systematic error off",
    False: "by taking the systematic error off; the trained weights were no better and are left out",
}


def _without_error(net: MatchNet, learned: list[Pair], theta: Float64Array) -> RigNet:
    """Without the systematic error that the network has on the pairs that it may learn from."""
    correction = systematic_error(_aligner(net, ""), learned, theta)
    return RigNet.around(net, correction.tolist()).eval()


def _aligner(net: RegistrationNet, run: str) -> Aligner:
    return Aligner(TorchSession(net, "gray", run))


@contextmanager
def _bar(what: str, total: int) -> Generator[OnDone]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
