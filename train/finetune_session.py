"""One call of `vr-train match --finetune`: footage of one's own rig, aligned by the network itself, teaches it more."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
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
from vr.train.rig_footage import VIEWS, OnDone, Rig, find_rig, scatter_px, systematic_error, write_aligned
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
        """Nothing to tune or to judge; `finish_rig` writes the checkpoint."""
        return {}

    def finish_rig(self, learned: list[Pair], theta: Float64Array) -> RigNet:
        """Takes off the systematic error that the network has on the pairs that it learned from, and writes the
        checkpoint to export.
        """
        correction = systematic_error(_aligner(self.net, self.run), learned, theta)
        net = RigNet.around(self.net, correction.tolist())
        saved = replace(self._checkpoint(self.net), network=net.network, config=net.config, weights=net.state_dict())
        checkpoint.save(self.folder.best, saved)
        return net.eval()


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
    before = _aligner(saved.build(), saved.run)
    if state is None:
        run_folder.start()
        _align(before, pairs, request.out, config.seed)
    theta = _saved_theta(request.out)
    trainer = _trainer(saved, request, config, run_folder)
    if state is not None:
        trainer.restore(state)
    else:
        trainer.start_from(_match_net(saved).state_dict())
    typer.echo(f"fine-tuning {saved.run} for {config.steps} steps on {trainer.device}; run {trainer.run}")
    train_to_end(trainer, request.resume_command)
    held_out = {pair.stem for pair in trainer.split.test}
    net = trainer.finish_rig([pair for pair in pairs if pair.stem not in held_out], theta)
    test = [pair for pair in pairs if pair.stem in held_out]
    return _conclude(trainer, before, _aligner(net, trainer.run), test, theta)


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


def _conclude(
    trainer: FineTuner, before: Aligner, after: Aligner, test: list[Pair], theta: Float64Array
) -> dict[str, Any]:
    figures: dict[str, Any] = {"run": trainer.run, "steps": trainer.step, "test_pairs": len(test)}
    figures |= {"scatter_before_px": scatter_px(before, test, theta), "scatter_px": scatter_px(after, test, theta)}
    save_figures(trainer.folder.figures, figures)
    typer.echo(
        f"{len(test)} pairs that were kept out, median distance of a pair's own answer from the rig's transform: "
        f"{figures['scatter_before_px']:.2f} px before, {figures['scatter_px']:.2f} px after"
    )
    typer.echo(f"export it: vr-export {trainer.folder.best} -o model.onnx")
    return figures


def _aligner(net: RegistrationNet, run: str) -> Aligner:
    return Aligner(TorchSession(net, "gray", run))


@contextmanager
def _bar(what: str, total: int) -> Generator[OnDone]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
