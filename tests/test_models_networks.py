"""The two networks of the thesis as fresh networks, and the registry."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.torch_export import export_and_load, run_session
from vr.models.affine import MIN_SIDE_PX, AffineNet, feature_count
from vr.models.base import RegistrationNet
from vr.models.registry import NETWORKS, build
from vr.models.voxelmorph import VoxelMorphNet
from vr.train.evaluation import folding_rate


def pair(size_hw: tuple[int, int], count: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = count, 1, *size_hw
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


def random_net(network: str) -> RegistrationNet:
    """A network of 240x320, always the same, with a last layer that does something."""
    torch.manual_seed(0)
    net = build(network, {"size_hw": [240, 320]})
    last = [module for module in net.modules() if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)][-1]
    torch.nn.init.normal_(last.weight, std=0.05)
    return net.eval()


def test_a_new_affine_network_is_the_identity() -> None:
    with torch.no_grad():
        result = AffineNet()(*pair((240, 320), 2))
    assert result.theta is not None
    assert result.theta.tolist() == [[[1, 0, 0], [0, 1, 0]]] * 2
    assert result.flow.shape == (2, 2, 240, 320)
    assert float(result.flow.abs().max()) < 1e-4


def test_a_new_voxelmorph_network_hardly_moves_anything() -> None:
    with torch.no_grad():
        result = VoxelMorphNet((32, 48))(*pair((32, 48), 2))
    assert result.theta is None
    assert result.flow.shape == (2, 2, 32, 48)
    assert float(result.flow.abs().max()) < 0.01


@pytest.mark.parametrize("size_hw", [(240, 320), (222, 222), (256, 300)])
def test_the_affine_network_fits_its_size(size_hw: tuple[int, int]) -> None:
    theta = AffineNet(size_hw)(*pair(size_hw)).theta
    assert theta is not None and theta.shape == (1, 2, 3)


def test_feature_count_is_what_the_convolutions_leave() -> None:
    assert feature_count((240, 320)) == 240
    assert feature_count((MIN_SIDE_PX, MIN_SIDE_PX)) == 120


@pytest.mark.parametrize("size_hw", [(221, 320), (320, 221), (8, 8)])
def test_the_affine_network_names_its_minimum(size_hw: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 222 px"):
        AffineNet(size_hw)


@pytest.mark.parametrize("size_hw", [(240, 321), (0, 320), (250, 320)])
def test_voxelmorph_names_its_multiple(size_hw: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        VoxelMorphNet(size_hw)


def test_voxelmorph_refuses_a_negative_number_of_squarings() -> None:
    with pytest.raises(ValueError, match="integration_steps is -1; expected 0"):
        VoxelMorphNet(integration_steps=-1)


def test_an_integrated_voxelmorph_has_the_same_weights_and_folds_less() -> None:
    plain = random_net("voxelmorph")
    # Velocities of many px that change from pixel to pixel.
    with torch.no_grad():
        plain.head.weight.mul_(60.0)  # type: ignore[union-attr]
    integrated = build("voxelmorph", {**plain.config, "integration_steps": 9}).eval()
    integrated.load_state_dict(plain.state_dict())
    with torch.no_grad():
        folds = [float(folding_rate(net(*pair((96, 128))).flow)) for net in (plain, integrated)]
    assert folds[0] > 0.05 and folds[1] < 0.1 * folds[0], folds


def test_voxelmorph_takes_other_sizes_than_its_own() -> None:
    assert VoxelMorphNet((32, 48))(*pair((64, 16))).flow.shape == (1, 2, 64, 16)


@pytest.mark.parametrize("network", ["affine", "voxelmorph"])
def test_inverted_input_sees_one_minus_the_image(network: str) -> None:
    plain = random_net(network)
    inverted = build(network, {"size_hw": [240, 320], "inverted_input": True}).eval()
    inverted.load_state_dict(plain.state_dict())
    # Dark images, so that bright ones are another matter.
    moving, fixed = (0.2 * image for image in pair((240, 320)))
    with torch.no_grad():
        expected = plain(moving, fixed).flow
        torch.testing.assert_close(inverted(1 - moving, 1 - fixed).flow, expected, atol=1e-4, rtol=0)
        assert float((inverted(moving, fixed).flow - expected).abs().max()) > 0.01


@pytest.mark.parametrize("network", ["affine", "voxelmorph"])
def test_each_pair_of_a_batch_is_on_its_own(network: str) -> None:
    net = random_net(network)
    moving, fixed = pair((240, 320), 2)
    with torch.no_grad():
        torch.testing.assert_close(net(moving, fixed).flow[1:], net(moving[1:], fixed[1:]).flow, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_built_again_from_its_config(network: str) -> None:
    net = build(network, {"size_hw": [240, 320]})
    again = build(network, net.config)
    assert type(again) is type(net) and again.config == net.config
    assert again.size_hw == (240, 320)
    again.load_state_dict(net.state_dict())


@pytest.mark.parametrize(
    ("network", "config", "message"),
    [("resnet", {}, "unknown network 'resnet'; expected one of affine"), ("affine", {"depth": 3}, "depth")],
)
def test_an_unknown_network_or_argument_is_refused(network: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(network, config)


class FlowOnly(torch.nn.Module):
    """A network that returns its flow as a plain tensor, as an exported graph must."""

    def __init__(self, net: RegistrationNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
        return self.net(moving, fixed).flow


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "other_hw", "integration_steps"),
    [("affine", (240, 320), 0), ("voxelmorph", (96, 160), 0), ("voxelmorph", (96, 160), 7)],
)
def test_the_networks_export(network: str, other_hw: tuple[int, int], integration_steps: int) -> None:
    net = random_net(network)
    if integration_steps:
        integrated = VoxelMorphNet(integration_steps=integration_steps)
        integrated.load_state_dict(net.state_dict())
        net = integrated.eval()
    dims: dict[int, Any] = {0: torch.export.Dim("n", min=1, max=64)}
    if net.dynamic:
        h, w = (torch.export.Dim(name, min=2, max=64) for name in ("h", "w"))
        dims |= {2: net.size_multiple * h, 3: net.size_multiple * w}
    session = export_and_load(FlowOnly(net), pair((240, 320), 2), (dims, dims))
    moving, fixed = pair(other_hw, 3, seed=5)
    with torch.no_grad():
        expected = net(moving, fixed).flow.numpy()
    assert np.abs(run_session(session, moving, fixed) - expected).max() < 0.01
