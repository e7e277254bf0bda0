"""Exported files hold against PyTorch, and a file that does not is never written."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from tests.fixed_nets import FixedHomography, InformedAffine, SmoothFlow
from tests.helpers import shared_data
from vr.export import onnx_file
from vr.export.graphs import ir_has_data
from vr.export.parity import OutputParity, border_pixels
from vr.export.plan import Plan
from vr.export.samples import parity_samples, traced_sample
from vr.models import registry
from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.dense import DenseNet
from vr.models.geometry import affine_flow, flow_to_grid
from vr.models.homography import HomographyNet
from vr.models.match import MatchNet
from vr.runtime.contract import OPSET, GraphName, Precision
from vr.runtime.errors import ModelError, OutputError
from vr.runtime.session import Session

SIZES: dict[str, SizeHw] = {"affine": (224, 240), "voxelmorph": (48, 64)}


def plan_for(
    graph: GraphName = "estimate",
    size_hw: SizeHw = (48, 64),
    precision: Precision = "fp32",
    dynamic: bool = False,
    mode: str = "gray",
) -> Plan:
    return Plan(graph, precision, size_hw, dynamic, mode, "run-2026-01-01-0")


def lively_network(name: str, size_hw: SizeHw) -> RegistrationNet:
    """A thesis network with random weights that answers with transforms of several pixels, different per
    input.
    """
    torch.manual_seed(0)
    net = registry.build(name, {"size_hw": list(size_hw)})
    with torch.no_grad():
        if name == "affine":
            for layer in net.linears:  # type: ignore[union-attr]
                layer.weight.normal_(std=0.3)
        else:
            net.head.weight.normal_(std=20.0)  # type: ignore[union-attr]
    return net.eval()


def errors(figures: list[OutputParity]) -> dict[str, float]:
    return {one.output: one.error for one in figures}


@dataclass(frozen=True)
class Exported:
    """A network and the file it was exported to."""

    net: RegistrationNet
    plan: Plan
    path: Path


@pytest.mark.parametrize("graph", ["estimate", "overlay"])
@pytest.mark.parametrize("network", ["affine", "voxelmorph"])
def test_thesis_networks_export_as_the_contract_says(tmp_path: Path, network: str, graph: GraphName) -> None:
    """The estimate graph is dynamic where the network can be. One test, for exporting takes seconds."""
    size_hw = SIZES[network]
    net = lively_network(network, size_hw)
    plan = plan_for(graph, size_hw, dynamic=graph == "estimate" and net.dynamic)
    exported = Exported(net, plan, tmp_path / "m.onnx")
    found = errors(onnx_file.export_onnx(net, plan, exported.path))
    assert found["flow"] <= 0.01
    assert found["moved"] <= 1.0
    assert set(found) == set(plan.outputs(net))
    assert_file_is_as_the_contract_says(exported)
    for batch in (1, 2):
        for frame_hw in (size_hw, (size_hw[0] + 16, size_hw[1] + 32)):
            assert_agrees_on_noise(exported, batch, frame_hw)


def assert_agrees_on_noise(exported: Exported, batch: int, frame_hw: SizeHw) -> None:
    """Compared here, without the gate."""
    feed = noise_feed(exported.plan, batch, frame_hw)
    session = Session(exported.path, "cpu", threads=1)
    reference = onnx_file.build_reference(exported.net, exported.plan)
    with torch.inference_mode():
        expected = reference(*[torch.from_numpy(value) for value in feed.values()])
    flow = session.run(feed, ["flow"])["flow"]
    expected_flow = expected[session.output_names.index("flow")].numpy()
    assert np.abs(expected_flow).max() > 1.0
    assert np.abs(flow - expected_flow).max() <= 0.01


def noise_feed(plan: Plan, batch: int, frame_hw: SizeHw) -> dict[str, np.ndarray]:
    """Random inputs, of `frame_hw` unless it is AffineNet's estimate graph, which has one size."""
    rng = np.random.default_rng(batch)
    if plan.graph == "overlay":
        ir = rng.integers(0, 256, (batch, *frame_hw, 1), dtype=np.uint8)
        rgb = rng.integers(0, 256, (batch, frame_hw[0] + 2, frame_hw[1] + 6, 3), dtype=np.uint8)
        return {"ir": ir, "rgb": rgb, "alpha": np.asarray(np.float32(0.5))}
    hw = frame_hw if plan.dynamic else plan.size_hw
    return {name: rng.random((batch, 1, *hw), dtype=np.float32) for name in ("moving", "fixed")}


def assert_file_is_as_the_contract_says(exported: Exported) -> None:
    """One file, opset 18, metadata that read back, and the free dimensions by name."""
    plan = exported.plan
    model = onnx.load(exported.path, load_external_data=False)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert [file.name for file in exported.path.parent.iterdir()] == ["m.onnx"]
    assert Session(exported.path, "cpu", threads=1).info == plan.info(exported.net)
    if plan.graph == "overlay":
        assert shapes(model.graph.input) == {"ir": ["N", "h", "w", "C"], "rgb": ["N", "H", "W", 3], "alpha": []}
        own = {"overlay": ["N", "H", "W", 3], "moved": ["N", "H", "W", 3], "flow": ["N", 2, "H", "W"], "content": ["N"]}
    else:
        hw = ["H", "W"] if plan.dynamic else list(plan.size_hw)
        assert shapes(model.graph.input) == {"moving": ["N", 1, *hw], "fixed": ["N", 1, *hw]}
        own = {"moved": ["N", 1, *hw], "flow": ["N", 2, *hw]}
    theta: dict[str, dict[str, list[int | str]]] = {
        "affine": {"theta": ["N", 2, 3]},
        "homography": {"theta": ["N", 3, 3], "confidence": ["N"]},
        "dense": {},
    }
    assert shapes(model.graph.output) == own | theta[exported.net.kind]


def shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, list[int | str]]:
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values
    }


@pytest.mark.parametrize("graph", ["estimate", "overlay"])
def test_homography_exports_as_the_contract_says(tmp_path: Path, graph: GraphName) -> None:
    net = FixedHomography(gain=0.2).eval()
    exported = Exported(net, plan_for(graph, dynamic=graph == "estimate"), tmp_path / "m.onnx")
    found = errors(onnx_file.export_onnx(net, exported.plan, exported.path))
    assert set(found) == set(exported.plan.outputs(net))
    assert found["flow"] <= 0.01
    assert exported.plan.info(net).kind == "homography"
    assert_file_is_as_the_contract_says(exported)
    for batch in (1, 2):
        assert_agrees_on_noise(exported, batch, (64, 96))


@pytest.mark.parametrize("mode", ["sobel", "laplacian"])
def test_an_overlay_graph_takes_contours_itself(tmp_path: Path, mode: str) -> None:
    net = SmoothFlow().eval()
    exported = Exported(net, plan_for("overlay", mode=mode), tmp_path / "m.onnx")
    assert errors(onnx_file.export_onnx(net, exported.plan, exported.path))["flow"] <= 0.01
    assert_file_is_as_the_contract_says(exported)
    assert_agrees_on_noise(exported, 2, (64, 96))


@pytest.mark.parametrize("mode", ["canny", "adaptive"])
def test_no_overlay_graph_of_contours_that_are_decided_at_a_threshold(tmp_path: Path, mode: str) -> None:
    with pytest.raises(
        ModelError, match=f"no overlay graph of mode {mode}.*--graph estimate, or train with mode sobel"
    ):
        onnx_file.export_onnx(SmoothFlow().eval(), plan_for("overlay", mode=mode), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_half_precision_keeps_grid_and_warp_in_float32(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    found = errors(onnx_file.export_onnx(SmoothFlow().eval(), plan_for(precision="fp16"), path))
    assert 0.0 < found["flow"] <= 0.1
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    values = [*model.graph.value_info, *model.graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    (sampler,) = [node for node in model.graph.node if node.op_type == "GridSample"]
    assert {types.get(name, onnx.TensorProto.FLOAT) for name in sampler.input} == {onnx.TensorProto.FLOAT}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    assert onnx.TensorProto.FLOAT16 in {types[node.output[0]] for node in convs}


class ExportsWrongly(SmoothFlow):
    """Its exported graph has another flow than PyTorch computes: the failing twin of the gate."""

    error_px = 0.02

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        flow = super().forward(moving, fixed).flow
        return Registration(flow + self.error_px if torch.compiler.is_exporting() else flow)


def test_gate_refuses_a_wrong_graph_and_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"the older file")
    with pytest.raises(ModelError, match=r"flow 0\.02 px") as caught:
        onnx_file.export_onnx(ExportsWrongly().eval(), plan_for(), path)
    assert "nothing was written" in str(caught.value)
    assert re.search(r"flow 0\.02 px \(limit 0\.01\) at \(0, .*\) on input 'scenes 48x64, batch", str(caught.value))
    assert path.read_bytes() == b"the older file"
    assert list(tmp_path.iterdir()) == [path]


class ExportsNan(SmoothFlow):
    """A graph that gives no number must not pass for one without difference."""

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        flow = super().forward(moving, fixed).flow
        return Registration(flow * float("nan") if torch.compiler.is_exporting() else flow)


def test_the_last_bit_of_a_transform_may_decide_at_the_border_of_the_infrared_frame() -> None:
    """A grid moved by a hair: `ir_has_data` changes nowhere but in `border_pixels`, and those are few."""
    ir_hw, rgb_hw = (31, 43), (48, 64)
    theta = torch.tensor([[[0.9, 0.1, 0.2], [-0.1, 1.1, 0.1]]])
    flow = affine_flow(theta, *rgb_hw)
    changed = torch.zeros(rgb_hw, dtype=torch.bool)
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        near = flow + 0.09 * torch.tensor([x, y]).view(1, 2, 1, 1)
        changed |= (ir_has_data(flow_to_grid(flow), *ir_hw) != ir_has_data(flow_to_grid(near), *ir_hw))[0, 0]
    on_border = border_pixels(flow.numpy(), ir_hw, 0.1)[0]
    assert changed.any()
    assert on_border[changed.numpy()].all()
    assert on_border.mean() < 0.03


def test_gate_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="flow inf px"):
        onnx_file.export_onnx(ExportsNan().eval(), plan_for(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_information_is_exported(tmp_path: Path) -> None:
    net = InformedAffine().eval()
    found = errors(onnx_file.export_onnx(net, plan_for(dynamic=True), tmp_path / "m.onnx"))
    assert found["information"] <= 1e-3
    session = Session(tmp_path / "m.onnx", "cpu", threads=1, transform_only=True)
    assert session.info.has_information
    feed = noise_feed(plan_for(), 2, (48, 64))
    information = session.run(feed, session.output_names)["information"]
    with torch.inference_mode():
        expected = net(*[torch.from_numpy(value) for value in feed.values()]).information
    assert expected is not None
    np.testing.assert_allclose(information, expected.numpy(), rtol=1e-3)


class ExportsWrongInformation(InformedAffine):
    """Its information is two per cent too large in the exported graph."""

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        found = super().forward(moving, fixed)
        assert found.information is not None
        return found._replace(information=found.information * (1.02 if torch.compiler.is_exporting() else 1.0))


def test_gate_refuses_wrong_information_whatever_its_unit(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"information 0\.02 of its largest entry \(limit 0\.01\)"):
        onnx_file.export_onnx(ExportsWrongInformation().eval(), plan_for(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (plan_for(size_hw=(240, 320)), "takes 224x240 only"),
        (plan_for(size_hw=(224, 240), dynamic=True), "cannot be --dynamic: its layers are tied to inputs of 224x240"),
    ],
)
def test_affine_says_which_size_it_takes(tmp_path: Path, plan: Plan, message: str) -> None:
    net = registry.build("affine", {"size_hw": [224, 240]})
    with pytest.raises(ModelError, match=message):
        onnx_file.export_onnx(net, plan, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_voxelmorph_says_which_multiples_it_takes(tmp_path: Path) -> None:
    net = registry.build("voxelmorph", {"size_hw": [48, 64]})
    with pytest.raises(ModelError, match="multiples of 16, for example 64x80"):
        onnx_file.export_onnx(net, plan_for(size_hw=(50, 70)), tmp_path / "m.onnx")


def test_dynamic_overlay_is_refused_as_it_is_anyway(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="any size anyway"):
        onnx_file.export_onnx(SmoothFlow(), plan_for("overlay", dynamic=True), tmp_path / "m.onnx")


def test_output_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is its folder there"):
        onnx_file.check_output(tmp_path / "none" / "m.onnx", overwrite=False)


@pytest.mark.parametrize("graph", ["estimate", "overlay"])
def test_gate_compares_on_other_inputs_than_the_traced_one(graph: GraphName) -> None:
    plan = plan_for(graph, dynamic=graph == "estimate")
    first = {"estimate": "moving", "overlay": "ir"}[graph]
    traced = traced_sample(plan).feed[first]
    shapes = {sample.feed[first].shape for sample in parity_samples(plan, SmoothFlow())}
    assert traced.shape not in shapes
    assert len({shape[0] for shape in shapes}) > 1
    assert len({shape[1:] for shape in shapes}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("graph", ["estimate", "overlay"])
@pytest.mark.parametrize(
    "name", ["model_affine_segmentation_e100", "model_voxelmorph_segmentation_e100_p06"], ids=["affine", "voxelmorph"]
)
def test_the_thesis_s_trained_networks_agree(tmp_path: Path, name: str, graph: GraphName, precision: Precision) -> None:
    from vr.train.thesis_weights import import_thesis

    checkpoint = import_thesis(shared_data("thesis") / f"{name}.safetensors")
    plan = plan_for(graph, (240, 320), precision, mode=checkpoint.mode)
    figures = onnx_file.export_onnx(checkpoint.build(), plan, tmp_path / "m.onnx")
    assert all(one.passed for one in figures)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the exporter takes minutes over this graph
@pytest.mark.parametrize("graph", ["estimate", "overlay"])
def test_the_match_network_agrees(tmp_path: Path, graph: GraphName) -> None:
    torch.manual_seed(0)
    net = registry.build("match", {"size_hw": [96, 128]}).eval()
    figures = onnx_file.export_onnx(net, plan_for(graph, (96, 128)), tmp_path / "m.onnx")
    assert all(one.passed for one in figures)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_match_network_agrees_with_a_homography(tmp_path: Path) -> None:
    torch.manual_seed(0)
    match = MatchNet((96, 128), width=8, deep=16, rounds=(1, 2, 1))
    figures = onnx_file.export_onnx(HomographyNet.around(match), plan_for(size_hw=(96, 128)), tmp_path / "m.onnx")
    assert all(one.passed for one in figures)
    assert Session(tmp_path / "m.onnx", "cpu", threads=1).output_names == ("moved", "flow", "theta", "confidence")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("graph", ["estimate", "overlay"])
def test_the_dense_network_agrees(tmp_path: Path, graph: GraphName) -> None:
    torch.manual_seed(0)
    net = DenseNet((96, 128), width=8, deep=16, rounds=(1, 2, 1), hidden=16, looks=2)
    for look in net.looks:
        torch.nn.init.normal_(look.answer.weight, std=0.3)  # type: ignore[union-attr]
    figures = onnx_file.export_onnx(net.eval(), plan_for(graph, (96, 128)), tmp_path / "m.onnx")
    assert all(one.passed for one in figures)
    first = {"estimate": "moved", "overlay": "overlay"}[graph]
    assert {one.output for one in figures} >= {first, "flow", "confidence"}
    assert "theta" not in {one.output for one in figures}


class UnguardedLength(FixedHomography):
    """Confidence 0/0 where the moving image is black, and only there: what an exporter may make of a guarded length."""

    network = "unguarded"

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        found = super().forward(moving, fixed)
        if not torch.compiler.is_exporting():
            return found
        level = torch.nn.functional.avg_pool2d(moving, 8)
        unguarded = (level / level).mean(dim=(1, 2, 3))
        return found._replace(confidence=found.confidence + 0.0 * unguarded if found.confidence is not None else None)


def test_a_graph_that_fails_on_black_areas_is_not_written(tmp_path: Path) -> None:
    """A division by zero that PyTorch's network does not have shows on the covered sample."""
    with pytest.raises(ModelError, match="covered scenes"):
        onnx_file.export_onnx(UnguardedLength().eval(), plan_for(), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
