"""`vr-train affine|voxelmorph --finetune`: from the network of a checkpoint to one's own rig."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import write_masks, write_pairs
from tests.train_command import refused, vr_train_here
from vr.models.affine import AffineNet
from vr.models.voxelmorph import VoxelMorphNet
from vr.train import checkpoint
from vr.train.augment import PairDataset
from vr.train.batches import to_float
from vr.train.checkpoint import Checkpoint
from vr.train.data import list_pairs

CPU = ("--device", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"), 8)


def write_base(path: Path, **changes: Any) -> Checkpoint:
    """A network with weights and arguments that no default has."""
    torch.manual_seed(5)
    net = VoxelMorphNet((48, 32), inverted_input=True, integration_steps=3)
    base = Checkpoint("voxelmorph", net.config, net.state_dict(), "gray", "base-20260101-0")
    checkpoint.save(path, replace(base, **changes))
    return base


def test_it_starts_from_the_network_of_the_checkpoint(data: Path, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base.pt")
    arguments = ("voxelmorph", data, "--finetune", tmp_path / "base.pt", "--out", tmp_path / "run", "--epochs", 1)
    done = vr_train_here(*arguments, "--lr", 1e-9, *CPU)
    assert done.returncode == 0, done.stderr
    tuned = checkpoint.load(tmp_path / "run" / "best.pt")
    assert tuned.config == base.config
    assert tuned.training["finetuned_from"] == "base-20260101-0"
    settings = tuned.training["settings"]
    assert (settings["size_hw"], settings["mode"], settings["integration_steps"]) == ([48, 32], "gray", 3)
    assert (settings["augment"], settings["similarity"]) == (False, "ngf")
    for name, weights in base.weights.items():
        assert torch.allclose(tuned.weights[name], weights, atol=1e-7), name


def test_it_goes_on_after_a_stop_with_the_same_network(data: Path, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base.pt")
    finetune = ("--finetune", tmp_path / "base.pt")
    run = ("voxelmorph", data, "--out", tmp_path / "run", *CPU)
    assert vr_train_here(*run, *finetune, "--epochs", 1).returncode == 0
    assert "leave one of them out" in refused(vr_train_here(*run, *finetune, "--resume"))
    (tmp_path / "base.pt").unlink()
    assert vr_train_here(*run, "--resume", "--epochs", 2).returncode == 0
    last = checkpoint.load(tmp_path / "run" / "last.pt")
    assert (last.epoch, last.config, last.training["finetuned_from"]) == (2, base.config, base.run)
    assert last.training["settings"]["lr"] < 3e-4


def test_of_a_state_with_an_average_the_average_is_taken(data: Path, tmp_path: Path) -> None:
    average = {name: torch.zeros_like(weights) for name, weights in write_base(tmp_path / "base.pt").weights.items()}
    write_base(tmp_path / "base.pt", average=average)
    arguments = ("voxelmorph", data, "--finetune", tmp_path / "base.pt", "--out", tmp_path / "run", "--epochs", 1)
    assert vr_train_here(*arguments, "--lr", 1e-9, *CPU).returncode == 0
    tuned = checkpoint.load(tmp_path / "run" / "best.pt")
    assert max(float(weights.abs().max()) for weights in tuned.weights.values()) < 1e-6


def test_masks_are_recognised(tmp_path: Path) -> None:
    write_base(tmp_path / "base.pt", mode="mask")
    masks = write_masks(tmp_path / "masks", 8)
    arguments = ("voxelmorph", masks, "--finetune", tmp_path / "base.pt", "--out", tmp_path / "run", "--epochs", 1)
    assert vr_train_here(*arguments, *CPU).returncode == 0
    settings = checkpoint.load(tmp_path / "run" / "best.pt").training["settings"]
    assert (settings["mode"], settings["similarity"]) == ("mask", "dice")


def test_what_does_not_fit_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    write_base(tmp_path / "base.pt")
    net = AffineNet((222, 222))
    checkpoint.save(tmp_path / "affine.pt", Checkpoint("affine", net.config, net.state_dict(), "gray", "a-0"))
    whole = (tmp_path / "base.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pt").write_text("no checkpoint")
    cases = [
        (("affine.pt",), "holds the network 'affine', expected 'voxelmorph'; use vr-train affine --finetune"),
        (("base.pt", "--size", "32x48"), "has size_hw (48, 32), not (32, 48); leave it out, or train anew"),
        (("base.pt", "--mode", "mask"), "has mode gray, not mask"),
        (("base.pt", "--integration-steps", 7), "has integration_steps 3, not 7"),
        (("default",), "default holds the network 'match', expected 'voxelmorph'; use vr-train match --finetune"),
        (("cut.pt",), "cut.pt is not a checkpoint; expected a .pt file written by vr-train"),
        (("text.pt",), "text.pt is not a checkpoint"),
        (("absent.pt",), "cannot read the checkpoint"),
    ]
    for (name, *options), message in cases:
        base = name if name == "default" else tmp_path / name
        arguments = ("voxelmorph", data, "--out", tmp_path / "run", "--finetune", base, *options, *CPU)
        assert message in refused(vr_train_here(*arguments)), name
        assert not (tmp_path / "run").exists(), name


@pytest.mark.slow
def test_it_learns_the_misalignment_of_a_rig(tmp_path: Path) -> None:
    """A network that knows warps of aligned pairs, on a rig whose IR frames lie 14 px further right and 9 further down.

    Measured with the true flow, which the training does not see.
    """
    aligned = write_masks(tmp_path / "aligned", 12, (240, 320))
    rig = write_masks(tmp_path / "rig", 20, (240, 320), offset_xy_px=(14, 9))
    base, tuned = tmp_path / "base", tmp_path / "tuned"
    options = ("--batch", 4, *CPU)
    assert vr_train_here("affine", aligned, "--out", base, "--mode", "mask", "--epochs", 2, *options).returncode == 0
    arguments = ("affine", rig, "--out", tuned, "--finetune", base / "best.pt", "--epochs", 12, *options)
    done = vr_train_here(*arguments)
    assert done.returncode == 0, done.stderr
    before, after = (rig_error_px(folder / "best.pt", rig) for folder in (base, tuned))
    assert before > 10.0
    assert after < before / 3.0


def rig_error_px(path: Path, rig: Path) -> float:
    """Mean distance in the middle of the image to the true source point, 14 px right and 9 px down."""
    data = PairDataset(list_pairs(rig), (240, 320), "mask", augment=False, seed=0)
    samples = [data[0, index] for index in range(4)]
    moving, fixed = (to_float(torch.stack([sample[name] for sample in samples])) for name in ("moving", "fixed"))
    with torch.no_grad():
        flow = checkpoint.load(path).build()(moving, fixed).flow[:, :, 60:180, 80:240]
    return float((flow - torch.tensor([14.0, 9.0]).reshape(1, 2, 1, 1)).norm(dim=1).mean())
