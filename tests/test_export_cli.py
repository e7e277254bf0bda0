"""`vr-export` as a user meets it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import smooth_scene
from vr.export import cli, onnx_file
from vr.models import registry
from vr.models.base import RegistrationNet
from vr.models.homography import HomographyNet
from vr.runtime import Aligner, cli_errors
from vr.train import checkpoint as checkpoints

SHIFT_X_PX = 4.0


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VoxelMorph checkpoint of 48x64 whose flow is a shift of 4 px in x."""
    net = registry.build("voxelmorph", {"size_hw": [48, 64]})
    with torch.no_grad():
        net.head.weight.zero_()  # type: ignore[union-attr]
        net.head.bias.copy_(torch.tensor([SHIFT_X_PX, 0.0]))  # type: ignore[union-attr]
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    saved = checkpoints.Checkpoint("voxelmorph", net.config, net.state_dict(), "gray", "night-2026-01-02-7")
    checkpoints.save(path, saved)
    return path


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["vr-export", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_checkpoint_to_aligner(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model.onnx"
    assert run_cli(monkeypatch, checkpoint, "-o", output) == 0
    out = capsys.readouterr().out
    assert "parity flow" in out
    assert "limit 0.01" in out
    aligner = Aligner.load(output, provider="cpu", threads=1)
    assert aligner.info.training_run == "night-2026-01-02-7"
    ir = smooth_scene(0, (48, 64))
    one = aligner.estimate(ir, np.dstack([ir] * 3))
    assert one.flow is not None
    np.testing.assert_allclose(one.flow[0], SHIFT_X_PX, atol=1e-4)
    np.testing.assert_allclose(one.flow[1], 0.0, atol=1e-4)
    assert b".py" not in output.read_bytes()  # no stack traces: they carry paths of the exporting machine


def test_existing_output_is_refused_and_kept(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model.onnx"
    output.write_text("mine")
    assert run_cli(monkeypatch, checkpoint, "-o", output) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "mine"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--size", "50x64"], "multiples of 16, for example 64x64"),
        (["--size", "50"], "--size: size '50' is not HEIGHTxWIDTH"),
        (["--graph", "overlay", "--dynamic"], "any size anyway"),
        (["--graph", "nothing"], "nothing"),
        (["--precision", "int8"], "int8"),
        (["--transform", "homography"], "voxelmorph network gives a transform of kind dense"),
        (["--transform", "affine"], "leave --transform out"),
        (["--transform", "rigid"], "rigid"),
    ],
)
def test_wrong_option_ends_with_2_and_says_what_works(
    tmp_path: Path,
    checkpoint: Path,
    extra: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(monkeypatch, checkpoint, "-o", tmp_path / "m.onnx", *extra) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"some text\n"], ids=["missing", "0 bytes", "text"])
def test_bad_checkpoint_is_one_line(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "best.pt"
    if content is not None:
        path.write_bytes(content)
    assert run_cli(monkeypatch, path, "-o", tmp_path / "m.onnx") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert str(path) in err


@pytest.mark.parametrize("missing", ["torch", "onnx", "onnxscript"])
def test_missing_package_says_what_to_install(
    tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find_spec = cli_errors.importlib.util.find_spec
    monkeypatch.setattr(
        cli_errors.importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    assert run_cli(monkeypatch, tmp_path / "best.pt", "-o", tmp_path / "m.onnx") == 2
    err = capsys.readouterr().err
    assert missing in err
    assert 'pip install "vr-registration[export]"' in err


def test_output_into_a_missing_folder_fails_before_the_checkpoint_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, tmp_path / "no.pt", "-o", tmp_path / "none" / "m.onnx") == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("transform", "kind"), [(None, "affine"), ("affine", "affine"), ("homography", "homography")], ids=str
)
def test_match_checkpoint_gives_the_transform_that_was_asked_for(
    tmp_path: Path,
    transform: str | None,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What reaches the exporter, which takes minutes over this network."""
    net = registry.build("match", {"size_hw": [96, 128], "width": 8, "deep": 16})
    checkpoints.save(tmp_path / "best.pt", checkpoints.Checkpoint("match", net.config, net.state_dict(), "gray", "r"))
    exported: list[RegistrationNet] = []
    monkeypatch.setattr(onnx_file, "export_onnx", lambda net, plan, path: exported.append(net) or path.touch() or [])
    option = [] if transform is None else ["--transform", transform]
    assert run_cli(monkeypatch, tmp_path / "best.pt", "-o", tmp_path / "m.onnx", *option) == 0
    (found,) = exported
    assert found.kind == kind
    assert not found.training
    given = found.match if isinstance(found, HomographyNet) else found
    assert all(torch.equal(given.state_dict()[name], value) for name, value in net.state_dict().items())
