"""Starting a run from the network of a checkpoint: adapting to one rig from its own footage, without labels."""

from pathlib import Path
from typing import Any

from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.config import NETWORKS

FINETUNING = {"lr": 1e-4, "augment": False}
"""Defaults of such a run. The footage is misaligned as the rig is: that is to be learned, and not hidden by warps."""


def read_base(path: Path, network: str) -> Checkpoint:
    """The checkpoint to start from. Raises InputError if it holds another network, and as `checkpoint.load`."""
    base = checkpoint.load(path)
    if base.network != network:
        other = f"; use vr-train {base.network} --finetune" if base.network in (*NETWORKS, "match") else ""
        raise InputError(f"{path} holds the network {base.network!r}, expected {network!r}{other}")
    return base


def finetuning_settings(base: Checkpoint, given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run that starts from `base`: `given`, and what the network brings along.

    Raises InputError if the two disagree.
    """
    brought = {"mode": base.mode, "size_hw": tuple(base.config["size_hw"])}
    if "integration_steps" in base.config:
        brought["integration_steps"] = base.config["integration_steps"]
    for name, value in brought.items():
        if given.get(name, value) != value:
            raise InputError(
                f"the network of run {base.run!r} has {name} {value}, not {given[name]}; leave it out, or train anew"
            )
    return {**FINETUNING, **brought, **given}
