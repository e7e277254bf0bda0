"""Checkpoint files: round trip, refusal of anything else, nothing lost on failure."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vr.models.voxelmorph import VoxelMorphNet
from vr.runtime.errors import InputError, ModelError, OutputError
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint


@pytest.fixture
def saved() -> Checkpoint:
    net = VoxelMorphNet((32, 48))
    return Checkpoint("voxelmorph", net.config, net.state_dict(), "gray", "test-20260101-0", history=[{"epoch": 1}])


def test_a_checkpoint_needs_nothing_else_to_build_its_network(tmp_path: Path, saved: Checkpoint) -> None:
    checkpoint.save(tmp_path / "a.pt", saved)
    again = checkpoint.load(tmp_path / "a.pt")
    assert replace(again, weights={}) == replace(saved, weights={})
    net = again.build()
    assert not net.training and net.size_hw == (32, 48)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, saved.weights[name])
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_anything_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    for content in (b"", b"not a checkpoint", b"PK\x03\x04 cut off"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"is not a checkpoint; expected a \.pt file written by vr-train"):
            checkpoint.load(path)
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="is not a checkpoint of this version"):
        checkpoint.load(path)
    torch.save({"format": checkpoint.FORMAT, "network": "affine"}, path)
    with pytest.raises(ModelError, match="is damaged"):
        checkpoint.load(path)
    with pytest.raises(InputError, match="cannot read the checkpoint"):
        checkpoint.load(tmp_path / "absent.pt")


class Trap:
    """Runs code when it is unpickled carelessly."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of the file was run')",)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "network": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ModelError, match="is not a checkpoint"):
        checkpoint.load(tmp_path / "trap.pt")


def test_weights_that_do_not_fit_are_refused(saved: Checkpoint) -> None:
    first = next(iter(saved.weights))
    for wrong in (
        replace(saved, weights={name: t for name, t in saved.weights.items() if name != first}),
        replace(saved, network="unheard"),
        replace(saved, config={"size_hw": [33, 48]}),
    ):
        with pytest.raises(ModelError, match="does not fit this version"):
            wrong.build()


def test_a_failed_write_keeps_the_older_file(
    tmp_path: Path, saved: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path / "a.pt", saved)
    before = (tmp_path / "a.pt").read_bytes()

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        checkpoint.save(tmp_path / "a.pt", saved)
    assert (tmp_path / "a.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
    with pytest.raises(OutputError, match="cannot write the checkpoint"):
        checkpoint.save(tmp_path / "absent" / "a.pt", saved)
