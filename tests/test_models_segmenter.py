"""The person segmenter on torchvision's DeepLabv3."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.torch_export import export_and_load, run_session
from vr.models.segmenter import PERSON_CLASS, Backbone, PersonSegmenter, build_segmenter


@pytest.fixture(scope="module")
def segmenter() -> PersonSegmenter:
    torch.manual_seed(0)
    return build_segmenter()


def test_it_gives_a_probability_per_pixel(segmenter: PersonSegmenter) -> None:
    with torch.no_grad():
        person = segmenter(torch.rand(2, 3, 65, 90))
    assert person.shape == (2, 1, 65, 90)
    assert float(person.min()) >= 0.0
    assert float(person.max()) <= 1.0


def test_person_is_torchvisions_person_class() -> None:
    from torchvision.models.segmentation import DeepLabV3_MobileNet_V3_Large_Weights as Weights

    assert Weights.DEFAULT.meta["categories"][PERSON_CLASS] == "person"


def test_the_person_channel_is_the_one_shown(segmenter: PersonSegmenter) -> None:
    """Pushing the person logit up, and no other, fills the mask."""
    bias = segmenter.get_parameter("deeplab.classifier.4.bias")
    old = bias.detach().clone()
    with torch.no_grad():
        bias[PERSON_CLASS] += 50.0
        full = segmenter(torch.rand(1, 3, 64, 64))
        bias.copy_(old)
    assert float(full.min()) > 0.99


def test_torchvisions_own_weights_file_loads(tmp_path: Path, segmenter: PersonSegmenter) -> None:
    """Such a file holds the auxiliary head of training too."""
    state = {**segmenter.deeplab.state_dict(), "aux_classifier.0.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "deeplab.pth")
    again = build_segmenter("mobilenet_v3_large", tmp_path / "deeplab.pth")
    rgb = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again(rgb), segmenter(rgb))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("other.pth", "text.pth"):
        with pytest.raises(ValueError, match=f"{name} does not hold the weights of .* deeplabv3_mobilenet"):
            build_segmenter(weights=tmp_path / name)
    with pytest.raises(ValueError, match="unknown backbone 'vgg'"):
        build_segmenter("vgg")  # type: ignore[arg-type]


def test_it_builds_where_torchvisions_operators_are_missing() -> None:
    """As beside a CPU torch: the first import of torchvision fails there, and `nms` is declared instead."""
    code = (
        "from vr.models.segmenter import build_segmenter; import torch;"
        "print(tuple(build_segmenter()(torch.rand(1, 3, 64, 64)).shape), hasattr(torch.ops.torchvision, 'nms'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 1, 64, 64) True"


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_the_large_backbones_run(backbone: Backbone) -> None:
    with torch.no_grad():
        person = build_segmenter(backbone)(torch.rand(1, 3, 64, 64))
    assert person.shape == (1, 1, 64, 64)


@pytest.mark.slow
def test_it_exports(segmenter: PersonSegmenter) -> None:
    rgb = torch.rand(1, 3, 96, 128)
    with torch.no_grad():
        expected = segmenter(rgb).numpy()
    assert np.abs(run_session(export_and_load(segmenter, (rgb,)), rgb) - expected).max() < 1e-3
