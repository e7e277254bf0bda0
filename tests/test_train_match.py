"""Samples with known transforms, the losses on them, and exact resume of the default network's training."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers import write_pairs
from vr.models import affine_fit
from vr.models.coarse import Coarse
from vr.models.match import MatchNet
from vr.runtime.errors import InputError, OutputError
from vr.train import checkpoint
from vr.train.data import Pair, Split
from vr.train.match_data import MatchDataset, Pool, real_canvases, scene_canvases
from vr.train.match_judge import fit_judge, gather, judge_figures
from vr.train.match_loop import MatchConfig, MatchTrainer
from vr.train.match_loss import grid_error_px, match_loss, perturbed, total_loss
from vr.train.match_session import Request, run_match_session
from vr.train.run_folder import RunFolder

SIZE_HW = (96, 128)
TINY = MatchConfig(
    sizes={"base": (SIZE_HW, (2, 2, 1)), "small": ((96, 112), (1, 1, 1))},
    coarse_hw=(96, 112),
    early_rounds=(1, 1),
    late_rounds=(2, 2),
    width=8,
    deep=16,
    scenes=2,
    batch=2,
    val_samples=2,
    judge_samples=6,
    tune_samples=2,
    workers=0,
)


def _pool(pair: Pair) -> Pool:
    return Pool(real_canvases([pair]), [])


@pytest.fixture
def same_pair(tmp_path: Path) -> Pair:
    """One textured picture that stands for both cameras."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 534, 3), dtype=np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 3.0)
    picture = cv2.normalize(picture, picture, 0, 255, cv2.NORM_MINMAX)
    for role in ("ir", "rgb"):
        (tmp_path / role).mkdir()
        cv2.imwrite(str(tmp_path / role / "a.png"), picture)
    return Pair("a", tmp_path / "ir" / "a.png", tmp_path / "rgb" / "a.png")


def _undegraded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vr.train.photometric.degrade", lambda _rng, gray, polarity=False: gray)
    monkeypatch.setattr("vr.train.photometric.pseudo_modality", lambda _rng, gray: gray)
    monkeypatch.setattr("vr.train.photometric.mix_channels", lambda _rng, bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))


def test_theta_of_a_sample_is_the_truth(same_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling the moving image by the sample's theta gives the fixed one, by torch's own affine_grid."""
    _undegraded(monkeypatch)
    data = MatchDataset(_pool(same_pair), (240, 320), 4, 0, {"pairs": 1.0})
    for index in range(4):
        sample = {name: value[None] for name, value in data[index].items()}
        grid = F.affine_grid(sample["theta"], [1, 1, 240, 320], align_corners=False)
        moved = F.grid_sample(sample["moving"], grid, align_corners=False)
        inside = grid.abs().amax(dim=3)[0] < 0.95
        before = (sample["moving"] - sample["fixed"])[0, 0][inside].abs().mean()
        after = (moved - sample["fixed"])[0, 0][inside].abs().mean()
        # Where the moving view looks past the picture both show a fill, which is not the same content.
        assert float(after) < 0.25 * float(before)


def test_samples_depend_on_their_index_alone(same_pair: Pair) -> None:
    shares = {"pairs": 0.5, "pseudo": 0.5}
    later = MatchDataset(_pool(same_pair), SIZE_HW, 2, 7, shares, first=3)
    whole = MatchDataset(_pool(same_pair), SIZE_HW, 6, 7, shares)
    for name, value in whole[4].items():
        torch.testing.assert_close(later[1][name], value, atol=0.0, rtol=0.0)
    assert not torch.equal(whole[0]["moving"], whole[1]["moving"])


def test_generated_scenes_need_no_pairs() -> None:
    pool = Pool([], scene_canvases(1, seed=0))
    sample = MatchDataset(pool, SIZE_HW, 1, 0, {"pairs": 0.5, "scenes": 0.5})[0]
    assert sample["moving"].shape == (1, *SIZE_HW)
    assert 0.0 <= float(sample["moving"].min()) <= float(sample["moving"].max()) <= 1.0


def test_match_loss_is_lowest_at_the_truth() -> None:
    truth = torch.eye(3)[None, :2]
    found = _found()

    def loss_around(x_px: float) -> float:
        target = found.points + torch.tensor([x_px, 0.0])
        squared = (target.unsqueeze(1) - found.candidates).square().sum(dim=2)
        return match_loss(_saying(found, -squared[None] / 64.0, -20.0), truth, *SIZE_HW).item()

    losses = [loss_around(x_px) for x_px in (0.0, 4.0, 8.0, 16.0)]
    assert losses == sorted(losses)
    assert losses[-1] > 2.0 * losses[0]


def test_points_outside_belong_nowhere() -> None:
    far = torch.tensor([[[1.0, 0.0, 1000.0], [0.0, 1.0, 0.0]]])
    found = _found()
    sure = _saying(found, torch.zeros_like(found.logits), 30.0)
    assert match_loss(sure, far, *SIZE_HW).item() < 1e-6


def test_match_loss_is_the_cross_entropy_with_a_gaussian_over_all_cells() -> None:
    """The two thin products against the plain sum over cells, in float64."""
    truth = torch.tensor([[[1.02, 0.05, 9.0], [-0.03, 0.98, -14.0]]])
    found = _found()
    logits = torch.randn(found.logits.shape, generator=torch.Generator().manual_seed(1))
    target = affine_fit.apply(truth, found.points).double()
    squared = (target.unsqueeze(2) - found.candidates.double()).square().sum(dim=3)
    labels = torch.softmax(-squared / (2.0 * (0.7 * 8.0) ** 2), dim=2)
    log_probability = torch.cat([logits.double(), torch.full((1, len(found.points), 1), 2.0)], dim=2).log_softmax(dim=2)
    inside = (target.abs() < torch.tensor([SIZE_HW[1], SIZE_HW[0]]) / 2.0).all(dim=2)
    expected = -torch.where(inside, (labels * log_probability[:, :, :-1]).sum(dim=2), log_probability[:, :, -1]).mean()
    assert 0.3 < float(inside.float().mean()) < 1.0
    assert match_loss(_saying(found, logits, 2.0), truth, *SIZE_HW).item() == pytest.approx(float(expected), abs=1e-4)


def _saying(found: Coarse, logits: torch.Tensor, nowhere: float) -> Coarse:
    """The same search with other match distributions."""
    none = torch.tensor(nowhere)
    total = torch.cat([logits, none.expand(*logits.shape[:2], 1)], dim=2).logsumexp(dim=2)
    return found._replace(logits=logits, nowhere=none, log_total=total)


def test_loss_falls_when_the_rounds_start_at_the_truth() -> None:
    """The parts name each stage's end, and only the refinement depends on its start."""
    net, truth = _trainer_net(), torch.eye(3)[None, :2]
    image = torch.rand(1, 1, *SIZE_HW, generator=torch.Generator().manual_seed(0))
    off = torch.tensor([[[1.0, 0.0, 0.2], [0.0, 1.0, 0.1]]])
    good, bad = (
        total_loss(net.find(*net.features(image, image), SIZE_HW, lambda _l, _t, s=start: s), truth, *SIZE_HW)
        for start in (truth, off)
    )
    assert float(good["coarse_px"]) == float(bad["coarse_px"])
    assert float(good["fine_px"]) < 0.1 < float(bad["fine_px"])
    assert good["loss"].item() < bad["loss"].item()


def _found() -> Coarse:
    net = _trainer_net()
    image = torch.rand(1, 1, *SIZE_HW, generator=torch.Generator().manual_seed(0))
    return net.find(*net.features(image, image), SIZE_HW).coarse


def test_grid_error_is_the_runtime_measure() -> None:
    from vr.runtime import geometry

    matrix = np.array([[1.02, 0.03, 5.0], [-0.02, 0.97, -3.0]])
    theta = torch.from_numpy(geometry.matrix_to_theta(matrix, SIZE_HW, SIZE_HW))[None].float()
    identity = torch.eye(3)[None, :2]
    found = float(grid_error_px(affine_fit.theta_to_centred(theta, *SIZE_HW), identity, *SIZE_HW))
    assert found == pytest.approx(geometry.grid_error_px(matrix, np.eye(2, 3), SIZE_HW), abs=1e-3)


def test_starts_are_wrong_by_what_is_asked_for() -> None:
    truth = torch.eye(3)[:2].expand(500, 2, 3)
    starts = perturbed(truth, 10.0, 128, torch.Generator().manual_seed(0))
    error = grid_error_px(starts, truth, *SIZE_HW)
    assert 1.0 < float(error.mean()) < 10.0
    assert float(error.max()) < 20.0


def test_judge_learns_to_tell_good_from_bad() -> None:
    net = _trainer_net()
    torch.manual_seed(0)
    signs = torch.rand(400, net.judge[0].in_features)  # type: ignore[arg-type]
    errors = torch.where(signs[:, 0] > 0.5, 1.0, torch.inf)
    fit_judge(net, signs, errors, seed=0)
    figures = judge_figures(net, signs, errors, threshold=0.5)
    assert figures["good_refused"] < 0.05
    assert figures["foreign_refused"] > 0.95


def test_resume_is_exact(tmp_path: Path) -> None:
    whole = _trainer(tmp_path / "whole", steps=6)
    assert whole.train(lambda: False, _ignore)
    first = _trainer(tmp_path / "parts", steps=6)
    assert not first.train(lambda: first.step == 3, _ignore)
    second = _trainer(tmp_path / "parts", steps=6)
    second.restore(second.folder.resume())
    assert second.step == 3
    assert second.train(lambda: False, _ignore)
    expected = whole.net.state_dict()
    for name, value in second.net.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_a_run_can_begin_with_the_weights_of_another(tmp_path: Path) -> None:
    first = _trainer(tmp_path / "first", steps=2)
    first.train(lambda: False, _ignore)
    request = Request([], None, tmp_path / "second", start=first.folder.last, device="cpu")
    run_match_session(request, replace(TINY, steps=1, lr=1e-30, shares={"scenes": 1.0}))
    second = checkpoint.load(tmp_path / "second" / "last.pt").weights
    torch.testing.assert_close(second["logit_scale"], first.net.state_dict()["logit_scale"])
    torch.testing.assert_close(second["encoder.head8.weight"], first.net.state_dict()["encoder.head8.weight"])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path / "run", steps=2)
    with pytest.raises(InputError, match="--start"):
        trainer.start_from({"other": torch.zeros(1)})


def test_the_steps_see_the_sizes_of_the_recipe() -> None:
    config = replace(TINY, steps=10, refine_from=0.5)
    assert {config.size_at(step) for step in range(5)} == {config.coarse_hw}
    assert [config.size_at(step) for step in (6, 7)] == [SIZE_HW, (96, 112)]


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path / "run", steps=6)
    trainer.save_state()
    with pytest.raises(InputError, match="other settings"):
        _trainer(tmp_path / "run", steps=7).restore(trainer.folder.resume())


def test_checkpoint_builds_the_network_again(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path / "run", steps=6)
    trainer.save_state()
    net = checkpoint.load(trainer.folder.last).build()
    image = torch.rand(2, 1, *SIZE_HW, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, expected = net(image, image), trainer.net.eval()(image, image)
    torch.testing.assert_close(found.theta, expected.theta, atol=1e-5, rtol=1e-4)


def _ignore(*_: object) -> None:
    pass


def _trainer(out: Path, steps: int) -> MatchTrainer:
    out.mkdir(parents=True, exist_ok=True)
    config = replace(TINY, steps=steps, shares={"scenes": 1.0}, val_every=100)
    return MatchTrainer(config, Split([], [], []), RunFolder(out), "match-test-0", torch.device("cpu"))


def _trainer_net() -> MatchNet:
    torch.manual_seed(0)
    return MatchNet(SIZE_HW, width=8, deep=16)


def test_a_session_leaves_everything_that_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, out = write_pairs(tmp_path / "data", 4), tmp_path / "run"
    config = replace(TINY, steps=4, val_every=2)
    request = Request([pairs], None, out, device="cpu")
    figures = run_match_session(request, config)
    assert set(figures) >= {"median_px", "below_3_px", "good_refused", "foreign_refused"}
    assert json.loads((out / "figures.json").read_text())["steps"] == 4
    assert cv2.imread(str(out / "loss_curve.png")) is not None
    assert any((out / "tensorboard").iterdir())
    main, small = (checkpoint.load(out / f"{name}.pt").build() for name in ("best", "small"))
    assert main.size_hw == SIZE_HW
    assert (small.size_hw, small.config["rounds"]) == ((96, 112), (1, 1, 1))
    for name, value in small.state_dict().items():
        if not name.startswith(("judge", "log_damping")):
            assert torch.equal(value, main.state_dict()[name]), name
    assert figures["small"]["median_px"] > 0.0
    assert "2 pairs to train, 1 to validate, 1 to test" in capsys.readouterr().out
    with pytest.raises(OutputError, match="not empty"):
        run_match_session(request, config)


def test_the_judge_is_off_neither_scale_nor_order(tmp_path: Path) -> None:
    """Every third pair of a batch is torn apart, and only those have an infinite error."""
    trainer = _trainer(tmp_path / "run", steps=6)
    data = MatchDataset(trainer.pool, SIZE_HW, 6, 0, {"scenes": 1.0})
    signs, errors = gather(trainer.net, data, batch=6)
    assert signs.shape == (6, trainer.net.judge[0].in_features)
    assert errors.isinf().tolist() == [False, False, True, False, False, True]
