"""One call of `vr-train match --finetune`: a matching network learns the rig that its pairs are from."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from vr.models.match import MatchNet
from vr.models.rig import RigNet
from vr.runtime.aligner import Aligner
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.data import check_images, list_pairs
from vr.train.progress import progress_bar
from vr.train.report import save_figures
from vr.train.rig_footage import VIEWS, Rig, find_rig, write_aligned
from vr.train.run_folder import RunFolder
from vr.train.torch_session import TorchSession

LEAST_SCATTER_PX = 0.25
"""Pairs that agree better than this agree by chance."""


def run_finetune_session(folders: list[Path], start: Path, out: Path, seed: int) -> dict[str, Any]:
    """Adapts the matching network of `start` to the rig of the pairs in the one folder, which need not be aligned.

    Writes into `out`: `best.pt` to export, `rig.json` (what is returned: theta, share of pairs that the network
    aligned, their scatter) and `aligned/`, the pairs by that transform, to look at and to train on. Raises a VrError
    before anything is written if the checkpoint or the footage is unusable.
    """
    saved = _checked(folders, start)
    run_folder = RunFolder(out)
    run_folder.check_free(resumable=False)
    pairs = list_pairs(folders[0])
    check_images(pairs)
    net = _match_net(saved)
    with progress_bar(len(pairs) + VIEWS, unit="looking at the rig") as advance:
        rig = find_rig(Aligner(TorchSession(net, saved.mode, saved.run)), pairs, seed, advance)
    run_folder.start()
    write_aligned(pairs, rig.theta, out / "aligned")
    _save(saved, net, rig, run_folder, seed)
    figures = {"theta": rig.theta.tolist(), "answered": rig.answered, "scatter_px": rig.scatter_px, "pairs": len(pairs)}
    save_figures(out / "rig.json", figures)
    typer.echo(
        f"{rig.answered:.0%} of {len(pairs)} pairs aligned, median {rig.scatter_px:.2f} px (at 320 px width) from the "
        f"rig's transform; look at {out / 'aligned'}"
    )
    typer.echo(f"export it: vr-export {run_folder.best} -o model.onnx")
    return figures


def _checked(folders: list[Path], start: Path) -> Checkpoint:
    if len(folders) != 1:
        raise InputError(f"--finetune takes one folder, the pairs of one rig; {len(folders)} given")
    saved = checkpoint.load(start)
    if saved.network not in (MatchNet.network, RigNet.network):
        raise InputError(
            f"--finetune: {start} holds a {saved.network} network, expected match; "
            "vr-train affine and voxelmorph have a --finetune of their own"
        )
    return saved


def _match_net(saved: Checkpoint) -> MatchNet:
    """Without what it may know of another rig."""
    net = saved.build()
    net = net.match if isinstance(net, RigNet) else net
    assert isinstance(net, MatchNet)
    return net.eval()


def _save(saved: Checkpoint, net: MatchNet, rig: Rig, run_folder: RunFolder, seed: int) -> None:
    known = RigNet.around(net, rig.theta.tolist(), max(rig.scatter_px, LEAST_SCATTER_PX))
    run = f"{run_folder.root.resolve().name}-{time.strftime('%Y%m%d')}-{seed}"
    training = json.loads(json.dumps({**saved.training, "finetuned_from": saved.run}))
    weights = known.state_dict()
    changed = replace(saved, network=known.network, config=known.config, weights=weights, run=run, training=training)
    checkpoint.save(run_folder.best, replace(changed, optimizer=None, rng=None))
