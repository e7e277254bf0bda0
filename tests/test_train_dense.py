"""Bent samples with known flows, the loss on them, and the training of the dense head."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers import write_pairs
from vr.models import registry
from vr.models.dense import DenseNet, places
from vr.models.geometry import affine_flow
from vr.models.match import MatchNet
from vr.models.spatial_transformer import SpatialTransformer
from vr.runtime.errors import InputError, ModelError, OutputError
from vr.runtime.geometry import apply_affine
from vr.train import checkpoint, photometric
from vr.train.checkpoint import Checkpoint
from vr.train.data import Split
from vr.train.dense_data import BendRange, BentDataset, bend_at, random_bend, unbent
from vr.train.dense_loop import DenseConfig, DenseTrainer
from vr.train.dense_loss import dense_loss, error_px, truth_of
from vr.train.dense_session import Request, run_dense_session
from vr.train.match_data import Augment, Pool
from vr.train.run_folder import RunFolder

SIZE_HW = (96, 128)
TINY = DenseConfig(
    steps=4, batch=2, hidden=16, looks=2, scenes=2, val_samples=4, val_every=100, workers=0, shares={"scenes": 1.0}
)
IDENTITY = torch.eye(3)[None, :2]


def _base(run: str = "match-1") -> Checkpoint:
    torch.manual_seed(0)
    net = MatchNet(SIZE_HW, width=8, deep=16, rounds=(1, 2, 1))
    return Checkpoint("match", net.config, net.state_dict(), "gray", run)


@pytest.fixture
def base_file(tmp_path: Path) -> Path:
    path = tmp_path / "match.pt"
    checkpoint.save(path, _base())
    return path


def _trainer(out: Path, config: DenseConfig = TINY, base: Checkpoint | None = None) -> DenseTrainer:
    out.mkdir(parents=True, exist_ok=True)
    return DenseTrainer(config, base or _base(), Split([], [], []), RunFolder(out), "d-0", torch.device("cpu"))


def _batch(data: BentDataset) -> dict[str, torch.Tensor]:
    samples = [data[index] for index in range(len(data))]
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def _ignore(*_: object) -> None:
    pass


def _bent_samples(monkeypatch: pytest.MonkeyPatch, share: float) -> BentDataset:
    """Of one textured picture that stands for both cameras."""
    monkeypatch.setattr(photometric, "pseudo_modality", lambda _rng, gray: gray)
    noise = np.random.default_rng(0).integers(0, 256, (400, 534), dtype=np.uint8)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4.0), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
    data = BentDataset(Pool([], [(picture, picture)]), (240, 320), 6, 0, {"pseudo": 1.0}, augment=Augment(False))
    monkeypatch.setattr(photometric, "mix_channels", lambda _rng, image: image)
    monkeypatch.setattr("vr.train.match_data.to_gray", lambda image: image)
    data.bends = BendRange(share=share)
    return data


def test_the_flow_of_a_bent_sample_is_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warped by it the moving image is the fixed one; by the affine part alone it is not."""
    data = _bent_samples(monkeypatch, share=1.0)
    for sample in (data[index] for index in range(len(data))):
        moving, fixed, flow = (sample[name][None] for name in ("moving", "fixed", "flow"))
        affine = affine_flow(sample["theta"][None], 240, 320)
        places_px = flow[0] + torch.stack(torch.meshgrid(torch.arange(320), torch.arange(240), indexing="xy"))
        inside = ((places_px > 8) & (places_px < torch.tensor([311, 231]).reshape(2, 1, 1))).all(dim=0)
        by_flow, by_affine = ((SpatialTransformer()(moving, one) - fixed)[0, 0][inside] for one in (flow, affine))
        # Where the moving view looks past the picture both show a fill, which is not the same content.
        assert float(by_flow.abs().median()) < 0.02
        assert float(by_flow.abs().mean()) < 0.4 * float(by_affine.abs().mean())


def test_straight_samples_are_affine(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = _bent_samples(monkeypatch, share=0.0)[0]
    torch.testing.assert_close(sample["flow"], affine_flow(sample["theta"][None], 240, 320)[0], atol=1e-3, rtol=0.0)


def test_bends_are_bounded_and_have_no_affine_part() -> None:
    limits = BendRange()
    frame = slice(24, -24), slice(24, -24)
    for seed in range(5):
        bend = random_bend(np.random.default_rng(seed), (240, 320), limits)
        assert bend.shape == (60 + 48, 80 + 48, 2)
        assert np.linalg.norm(bend[frame], axis=2).max() <= limits.longest_px[1] + 1e-4
        assert abs(np.diff(bend, axis=0)).max() / 4 <= 0.25 + 1e-6
        np.testing.assert_allclose(bend[frame].mean(axis=(0, 1)), 0.0, atol=1e-4)


def test_unbent_inverts_the_bend() -> None:
    matrix = np.array([[1.1, 0.1, 5.0], [-0.08, 0.95, -3.0]])
    bend = random_bend(np.random.default_rng(3), (240, 320), BendRange())
    points = unbent(bend, matrix, (240, 320))
    ys, xs = np.mgrid[:240, :320].astype(float)
    back = apply_affine(matrix, points + bend_at(bend, points))
    np.testing.assert_allclose(back, np.stack([xs, ys], axis=-1), atol=0.06)


def test_samples_depend_on_their_index_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _bent_samples(monkeypatch, share=0.5)
    later = BentDataset(data.pool, (240, 320), 2, 0, {"pseudo": 1.0}, first=3, augment=Augment(False))
    for name, value in data[4].items():
        assert torch.equal(later[1][name], value)


def test_errors_are_pixels_of_the_moving_image() -> None:
    """The source lies 3 px further right and 4 px further down than the start says, and a bend of that is right."""
    flow = torch.stack([torch.full(SIZE_HW, 3.0), torch.full(SIZE_HW, 4.0)])[None]
    truth = truth_of(flow)
    still = torch.zeros(1, 2, 6, 8)
    torch.testing.assert_close(error_px(IDENTITY, still, truth), torch.full((1, 12, 16), 5.0), atol=1e-3, rtol=0.0)
    right = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1).expand(1, 2, 6, 8)
    assert float(error_px(IDENTITY, right, truth).max()) < 0.02
    weight = truth_of(2.0 * flow).weight[0]
    assert float(weight[-1, 0]) < float(weight[0, 0]) == 1.0
    assert float(weight[0, -1]) < 1.0


def test_harm_costs_more_than_gain_brings() -> None:
    straight = truth_of(torch.zeros(1, 2, *SIZE_HW))
    bent = truth_of(torch.stack([torch.full(SIZE_HW, 2.0), torch.zeros(SIZE_HW)])[None])
    step = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 6, 8)
    still = torch.zeros_like(step)
    cost = [float(dense_loss(IDENTITY, [step], one)["loss"]) for one in (straight, bent)]
    before = [float(dense_loss(IDENTITY, [still], one)["loss"]) for one in (straight, bent)]
    harm, gain = cost[0] - before[0], before[1] - cost[1]
    assert harm > 1.3 * gain > 0.0


def test_a_tiny_training_lowers_its_loss(tmp_path: Path) -> None:
    """The same few samples again and again: the error falls well below that of the start."""
    trainer = _trainer(tmp_path / "run", replace(TINY, steps=60, batch=4, lr=5e-3))
    data = BentDataset(trainer.pool, SIZE_HW, 4, 0, {"pseudo": 1.0}, augment=Augment(False))
    batch = _batch(data)
    with torch.no_grad():
        seen = trainer._seen(batch["moving"], batch["fixed"], batch["theta"])
    truth = truth_of(batch["flow"].repeat(2, 1, 1, 1))
    history: list[dict[str, torch.Tensor]] = []
    for _ in range(60):
        history.append(dense_loss(seen.theta, trainer.net.bends(seen), truth))
        trainer.optimizer.zero_grad()
        history[-1]["loss"].backward()
        trainer.optimizer.step()
    first, last = ({name: value.item() for name, value in history[i].items()} for i in (0, -1))
    assert last["loss"] < 0.6 * first["loss"]
    assert last["end_px"] < 0.7 * last["start_px"]


def test_resume_is_exact(tmp_path: Path) -> None:
    whole = _trainer(tmp_path / "whole")
    assert whole.train(lambda: False, _ignore)
    first = _trainer(tmp_path / "parts")
    assert not first.train(lambda: first.step == 2, _ignore)
    second = _trainer(tmp_path / "parts")
    second.restore(second.folder.resume())
    assert second.step == 2
    assert second.train(lambda: False, _ignore)
    expected = whole.net.state_dict()
    for name, value in second.net.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_training_leaves_the_matching_network_as_it_was(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path / "run")
    trainer.train(lambda: False, _ignore)
    for name, value in trainer.net.match.state_dict().items():
        assert torch.equal(value, trainer.base.weights[name]), name
    new = DenseTrainer(TINY, _base(), trainer.split, trainer.folder, "d-1", trainer.device).net.state_dict()
    learned = {name: value for name, value in trainer.net.state_dict().items() if name.startswith("looks")}
    assert not torch.equal(learned["looks.0.enter.weight"], new["looks.0.enter.weight"])


@pytest.mark.parametrize("other", [{"base": _base("match-2")}, {"config": replace(TINY, lr=1e-4)}])
def test_resume_with_another_base_or_other_settings_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    trainer = _trainer(tmp_path / "run")
    trainer.save_state()
    with pytest.raises(InputError, match="other settings"):
        _trainer(tmp_path / "run", **other).restore(trainer.folder.resume())  # type: ignore[arg-type]


def test_a_session_leaves_everything_that_it_promises(
    tmp_path: Path, base_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, out = write_pairs(tmp_path / "data", 4), tmp_path / "run"
    request = Request(base_file, [pairs], None, out, device="cpu")
    config = replace(TINY, steps=2, val_every=2, shares={"pairs": 1.0})
    run_dense_session(request, config)
    assert {"lost", "steps", "run"} <= set(json.loads((out / "figures.json").read_text()))
    assert cv2.imread(str(out / "loss_curve.png")) is not None
    saved = checkpoint.load(out / "best.pt")
    net = saved.build()
    assert isinstance(net, DenseNet) and net.size_hw == SIZE_HW
    assert saved.training["base"] == {"run": "match-1", "step": 0}
    assert "on run match-1" in capsys.readouterr().out
    with pytest.raises(OutputError, match="not empty"):
        run_dense_session(request, config)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: None, InputError, "cannot read the checkpoint"),
        (lambda path: path.write_bytes(b"no checkpoint"), ModelError, "not a checkpoint"),
        (lambda path: _save_voxelmorph(path), InputError, "trained the voxelmorph network; .* vr-train match"),
    ],
)
def test_a_bad_checkpoint_is_refused(
    tmp_path: Path, make: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    path, out = tmp_path / "base.pt", tmp_path / "run"
    make(path)
    with pytest.raises(error, match=message):
        run_dense_session(Request(path, [], None, out, device="cpu"), TINY)
    assert not out.exists()


def _save_voxelmorph(path: Path) -> None:
    net = registry.build("voxelmorph", {"size_hw": [32, 48]})
    checkpoint.save(path, Checkpoint("voxelmorph", net.config, net.state_dict(), "gray", "vm-1"))


def test_lost_starts_are_replaced(tmp_path: Path) -> None:
    """An untrained network's own affines are lost: the head starts near the truth all the same."""
    trainer = _trainer(tmp_path / "run", replace(TINY, start_px=4.0))
    data = BentDataset(trainer.pool, SIZE_HW, 4, 0, {"scenes": 1.0})
    batch = _batch(data)
    with torch.no_grad():
        seen = trainer._seen(batch["moving"], batch["fixed"], batch["theta"])
    still = torch.zeros(8, 2, *SIZE_HW)
    offset = (places(seen.theta, still, 1) - places(batch["theta"].repeat(2, 1, 1), still, 1)) * torch.tensor(
        [64.0, 48.0]
    )
    assert float(offset.norm(dim=3).mean(dim=(1, 2)).max()) < 12.5
