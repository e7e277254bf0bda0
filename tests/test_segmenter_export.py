"""`vr-export` of a person segmenter: what is written, what the gate refuses, and which options make no sense."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from vr.export import cli
from vr.export.segmenter_file import SegmentPlan, export_segmenter
from vr.models.segmenter import PersonSegmenter, SegmenterNet
from vr.runtime.contract import OPSET
from vr.runtime.errors import ModelError
from vr.runtime.segmenter import Segmenter, SegmenterSession
from vr.train import checkpoint as checkpoints

HW = (32, 48)


class Layers(nn.Module):
    """As torchvision's DeepLab: a dict; `wrong` is added to the logits while exporting only."""

    def __init__(self, wrong: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 16, 5, padding=2), nn.Conv2d(16, 2, 1)
        self.wrong = wrong

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = 8.0 * self.head(self.conv(x).relu())
        return {"out": logits + self.wrong * x[:, :2] if torch.compiler.is_exporting() else logits}


class Tiny(PersonSegmenter):
    """A segmenter that exports within a second."""

    network = "tiny"

    def __init__(self, wrong: float = 0.0) -> None:
        super().__init__(Layers(wrong), person_class=1)
        self.config = {"size_hw": list(HW), "backbone": "tiny"}


def export(path: Path, net: Tiny, precision: str = "fp32") -> list[float]:
    """The parity errors."""
    plan = SegmentPlan(precision, HW, "run-20260101-0")  # type: ignore[arg-type]
    return [one.error for one in export_segmenter(net, plan, path)]  # type: ignore[arg-type]


def test_the_file_gives_what_pytorch_gives(tmp_path: Path) -> None:
    net, path = Tiny().eval(), tmp_path / "person.onnx"
    assert max(export(path, net)) < 1e-5
    assert [p.name for p in tmp_path.iterdir()] == ["person.onnx"]
    session = SegmenterSession(path, "cpu", 1)
    image = torch.rand((5, 3, *HW), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        expected = net(image).numpy()
    found = session.run({"image": image.numpy()}, ["probability"])["probability"]
    assert np.ptp(expected) > 0.3 and np.abs(found - expected).max() < 1e-5
    info = session.info
    assert (info.size_hw, info.backbone, info.precision, info.training_run) == (HW, "tiny", "fp32", "run-20260101-0")
    model = onnx.load(path)
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [OPSET]
    assert b".py" not in path.read_bytes()


def test_half_precision_has_its_own_tolerance(tmp_path: Path) -> None:
    (error,) = export(tmp_path / "half.onnx", Tiny().eval(), "fp16")
    assert 1e-6 < error < 0.05
    assert Segmenter(tmp_path / "half.onnx", "cpu", 1).info.precision == "fp16"


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "person.onnx").write_text("mine")
    with pytest.raises(ModelError, match=r"differs from PyTorch, nothing was written: probability .* \(limit 0\.001\)"):
        export(tmp_path / "person.onnx", Tiny(wrong=0.1).eval())
    assert [p.name for p in tmp_path.iterdir()] == ["person.onnx"]
    assert (tmp_path / "person.onnx").read_text() == "mine"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = SegmenterNet(HW)
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    checkpoints.save(path, checkpoints.Checkpoint(net.network, net.config, net.state_dict(), "rgb", "run-20260101-0"))
    return path


def vr_export(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vr-export", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--graph", "overlay"], "--graph overlay is for registration networks"),
        (["--dynamic"], "--dynamic is for registration networks"),
        (["--transform", "affine"], "--transform affine is for registration networks"),
        (["--size", "16x48"], "size 16x48 is too small"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path,
    checkpoint: Path,
    option: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert vr_export(monkeypatch, checkpoint, "-o", tmp_path / "m.onnx", *option) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_exports_a_deeplab_at_another_size(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vr_export(monkeypatch, checkpoint, "-o", tmp_path / "m.onnx", "--size", "48x64") == 0
    assert "parity probability" in capsys.readouterr().out
    segmenter = Segmenter(tmp_path / "m.onnx", "cpu", 1)
    assert segmenter.info.size_hw == (48, 64) and segmenter.info.backbone == "mobilenet_v3_large"
    assert segmenter(np.zeros((60, 80, 3), np.uint8)).shape == (60, 80)
