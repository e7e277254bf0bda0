"""The thesis's own weights give the thesis's own results on its published mask pair."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers import shared_data
from vr.models.spatial_transformer import SpatialTransformer
from vr.runtime.errors import InputError, ModelError
from vr.runtime.preprocess import network_input
from vr.train import checkpoint
from vr.train.thesis_weights import AFFINE_NAMES, VOXELMORPH_NAMES, convert, import_thesis, read_thesis_mask

AFFINE_FILE = "thesis/model_affine_segmentation_e100.safetensors"
VOXELMORPH_FILE = "thesis/model_voxelmorph_segmentation_e100_p06.safetensors"


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def masks() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """IR and RGB mask, person 1."""
    ir = read_thesis_mask(shared_data("thesis/mask_ir_frame.jpg"))
    return ir, read_thesis_mask(shared_data("thesis/mask_rgb_frame.jpg"))


def test_masks_before_any_alignment() -> None:
    ir, rgb = masks()
    assert set(np.unique(ir)) == {0, 1}
    assert dice(ir > 0, rgb > 0) == pytest.approx(0.455, abs=0.005)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (AFFINE_FILE, 0.742),
        (VOXELMORPH_FILE, 0.837),
        ("thesis/model_voxelmorph_segmentation_e100_p10.safetensors", 0.773),
    ],
)
def test_published_dice_is_reproduced(file: str, expected: float) -> None:
    net = import_thesis(shared_data(file)).build()
    ir, rgb = masks()
    moving, fixed = (torch.from_numpy(network_input(mask, net.size_hw, "mask")) for mask in (ir, rgb))
    with torch.no_grad():
        moved = SpatialTransformer()(moving, net(moving, fixed).flow)[0, 0].numpy()
    assert dice(moved > 0.5, rgb > 0) == pytest.approx(expected, abs=0.005)


def test_the_polarity_matters() -> None:
    """The failing twin: the same weights without `inverted_input` miss the figure."""
    imported = import_thesis(shared_data(AFFINE_FILE))
    net = imported.build()
    ir, rgb = masks()
    moving, fixed = (torch.from_numpy(network_input(mask, net.size_hw, "mask")) for mask in (ir, rgb))
    with torch.no_grad():
        moved = SpatialTransformer()(moving, net(1 - moving, 1 - fixed).flow)[0, 0].numpy()
    assert dice(moved > 0.5, rgb > 0) < 0.65


def test_an_imported_network_survives_a_checkpoint(tmp_path: Path) -> None:
    imported = import_thesis(shared_data(VOXELMORPH_FILE))
    checkpoint.save(tmp_path / "thesis.pt", imported)
    again = checkpoint.load(tmp_path / "thesis.pt")
    assert (again.network, again.mode, again.run) == ("voxelmorph", "mask", imported.run)
    moving, fixed = torch.rand(1, 1, 64, 96), torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        assert torch.equal(again.build()(moving, fixed).flow, imported.build()(moving, fixed).flow)


def tensors(names: dict[str, str]) -> dict[str, torch.Tensor]:
    return {f"{name}.{kind}": torch.zeros(2) for name in names for kind in ("weight", "bias")}


@pytest.mark.parametrize(("names", "network"), [(AFFINE_NAMES, "affine"), (VOXELMORPH_NAMES, "voxelmorph")])
def test_a_missing_or_unknown_tensor_is_named(names: dict[str, str], network: str) -> None:
    complete = tensors(names)
    assert convert(dict(complete), "file")[0] == network
    last = f"{list(names)[-1]}.bias"
    with pytest.raises(ModelError, match=f"1 tensors are missing \\({last}\\), 0 are unknown"):
        convert({name: tensor for name, tensor in complete.items() if name != last}, "file")
    with pytest.raises(ModelError, match=r"0 tensors are missing \(none\), 1 are unknown \(stranger\)"):
        convert({**complete, "stranger": torch.zeros(1)}, "file")


def test_the_heads_two_channels_are_swapped() -> None:
    old = tensors(VOXELMORPH_NAMES)
    old["flow.bias"] = torch.tensor([1.0, 2.0])
    assert convert(old, "file")[1]["head.bias"].tolist() == [2.0, 1.0]


def test_tensors_of_other_shapes_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors(AFFINE_NAMES), tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"other shapes in convs\.0\.weight"):
        import_thesis(tmp_path / "other.safetensors")


def test_a_file_that_is_no_weights_file_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.safetensors"
    text.write_text("not tensors")
    with pytest.raises(ModelError, match="not a safetensors file"):
        import_thesis(text)
    with pytest.raises(InputError, match="cannot read"):
        import_thesis(tmp_path / "absent.safetensors")
