"""The training loop: exact resume, what it writes, and that it learns."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import write_masks, write_pairs
from vr.models.spatial_transformer import SpatialTransformer
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.augment import PairDataset
from vr.train.batches import to_float
from vr.train.config import TrainConfig
from vr.train.data import list_pairs
from vr.train.evaluation import flow_error_px
from vr.train.loop import Trainer, fit, measure_test_pairs, resolve_device
from vr.train.run_folder import RunFolder

CPU = torch.device("cpu")
SMALL = TrainConfig("voxelmorph", (32, 48), epochs=3, batch=2, lr=1e-3, val_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"), 8)


def never() -> bool:
    return False


def after(steps: int) -> Callable[[], bool]:
    """True from the call number `steps` on, as Ctrl-C in that step."""
    calls = iter(range(1, 1_000_000))
    return lambda: next(calls) >= steps


def run(data: Path, folder: RunFolder, config: TrainConfig, should_stop: Callable[[], bool] = never) -> Trainer:
    """One call of the command: starts, or goes on where the folder has a state."""
    trainer = Trainer(config, list_pairs(data), CPU, "run-20260101-0")
    folder.root.mkdir(exist_ok=True)
    if folder.last.exists():
        trainer.restore(folder.resume())
    with closing(trainer.loader):
        fit(trainer, folder, should_stop, lambda _step, _loss: None, lambda _trainer: None)
    return trainer


def flat(value: Any) -> list[Any]:
    """All leaves of nested dicts and lists, tensors as bytes."""
    if isinstance(value, dict):
        return [leaf for key in value for leaf in [key, *flat(value[key])]]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in flat(item)]
    return [value.numpy().tobytes() if isinstance(value, torch.Tensor) else value]


def state(folder: RunFolder) -> list[Any]:
    saved = checkpoint.load(folder.last)
    return flat([saved.weights, saved.optimizer, saved.rng, saved.history, saved.training, saved.epoch, saved.step])


@pytest.mark.parametrize("stop_after", [[2], [1, 3], [5], [4, 4]])
def test_a_resumed_run_ends_with_the_same_bits(data: Path, tmp_path: Path, stop_after: list[int]) -> None:
    """Stopped at the end of an epoch (2 steps each), in its middle, and twice."""
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    run(data, whole, SMALL)
    for steps in stop_after:
        run(data, parts, SMALL, after(steps))
        torch.rand(7)  # what another program would do to torch's global state in between
    trainer = run(data, parts, SMALL)
    assert (trainer.epoch, trainer.step) == (3, 6)
    assert state(parts) == state(whole)
    assert flat(checkpoint.load(parts.best).weights) == flat(checkpoint.load(whole.best).weights)


def test_another_seed_is_another_run(data: Path, tmp_path: Path) -> None:
    """The failing twin: the comparison above does tell runs apart."""
    one, two = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "two")
    run(data, one, SMALL)
    run(data, two, replace(SMALL, seed=1))
    assert state(one) != state(two)


def test_the_affine_network_resumes_exactly_too(data: Path, tmp_path: Path) -> None:
    config = replace(SMALL, network="affine", size_hw=(222, 222), epochs=2)
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    run(data, whole, config)
    run(data, parts, config, after(3))
    run(data, parts, config)
    assert state(parts) == state(whole)


@pytest.mark.slow
def test_the_number_of_workers_does_not_change_the_run(data: Path, tmp_path: Path) -> None:
    alone, helped = RunFolder(tmp_path / "alone"), RunFolder(tmp_path / "helped")
    run(data, alone, SMALL)
    run(data, helped, replace(SMALL, workers=2))
    assert flat(checkpoint.load(alone.last).weights) == flat(checkpoint.load(helped.last).weights)


def test_more_epochs_may_follow(data: Path, tmp_path: Path) -> None:
    whole, more = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "more")
    run(data, whole, SMALL)
    run(data, more, replace(SMALL, epochs=1))
    run(data, more, SMALL)
    assert flat(checkpoint.load(more.last).weights) == flat(checkpoint.load(whole.last).weights)


def test_the_state_is_written_before_the_first_step_and_after_every_few(data: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    trainer = Trainer(replace(SMALL, epochs=2, save_every=2), list_pairs(data), CPU, "run")
    on_disk: list[int] = []
    fit(trainer, folder, never, lambda _step, _loss: on_disk.append(checkpoint.load(folder.last).step), lambda _: None)
    assert on_disk == [0, 2, 2, 4, 4, 6][: len(on_disk)] and len(on_disk) == 2 * trainer.steps_per_epoch


def test_best_is_the_epoch_of_the_lowest_validation_loss(data: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    # A learning rate that cannot go well makes a later epoch worse.
    trainer = run(data, folder, replace(SMALL, lr=0.5, epochs=4))
    losses = [row["val_loss"] for row in trainer.history]
    best = checkpoint.load(folder.best)
    assert best.history[-1]["val_loss"] == min(losses)
    assert best.optimizer is None
    assert checkpoint.load(folder.last).epoch == 4
    measure_test_pairs(trainer, folder)
    assert flat(trainer.net.state_dict()) == flat(best.weights)


def test_a_loss_that_is_not_a_number_ends_the_run(data: Path) -> None:
    trainer = Trainer(SMALL, list_pairs(data), CPU, "run")
    with torch.no_grad():
        next(trainer.net.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match=r"the loss is nan at step 1; lower --lr"):
        trainer.train_epoch(never, lambda _step, _loss: None)


def test_other_pairs_are_refused_on_resume(data: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run(data, folder, replace(SMALL, epochs=1))
    with pytest.raises(InputError, match="the pairs are not those that run 'run-20260101-0' was started with"):
        run(write_pairs(tmp_path / "others", 9), folder, SMALL)


def test_no_error_figures_without_a_known_truth(data: Path) -> None:
    known = Trainer(SMALL, list_pairs(data), CPU, "run").figures("val")
    unknown = Trainer(replace(SMALL, augment=False), list_pairs(data), CPU, "run").figures("val")
    assert {"error_px", "error_before_px", "far_share"} == known.keys() - unknown.keys()
    # A fresh network hardly moves anything.
    assert known["error_px"] == pytest.approx(known["error_before_px"], abs=0.1)


def test_flow_error_is_the_distance_to_the_true_source_point() -> None:
    theta = torch.tensor([[[1.0, 0.0, 0.2], [0.0, 1.0, -0.1]]])
    # 0.2 of half of 60 px in x, -0.1 of half of 40 px in y.
    still = flow_error_px(torch.zeros(1, 2, 40, 60), theta)
    assert float(still) == pytest.approx((6.0**2 + 2.0**2) ** 0.5, rel=1e-4)
    exact = torch.tensor([6.0, -2.0]).reshape(1, 2, 1, 1).expand(1, 2, 40, 60)
    assert float(flow_error_px(exact, theta)) == pytest.approx(0.0, abs=1e-4)


def test_a_device_that_is_not_there_is_refused() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="device 'gpu' is unknown"):
        resolve_device("gpu")
    if not torch.cuda.is_available():
        assert resolve_device("auto").type == "cpu"
        with pytest.raises(InputError, match="finds no CUDA GPU; use --device cpu"):
            resolve_device("cuda")


@pytest.mark.slow
def test_training_finds_a_misalignment(tmp_path: Path) -> None:
    """Masks of one ellipse each, randomly warped: on unseen ones, training leaves less than half of the difference."""
    data = write_masks(tmp_path / "masks", 40)
    config = TrainConfig(
        "voxelmorph", (64, 80), "mask", "mse", lambda_smooth=0.02, epochs=40, batch=8, lr=2e-3, pyramid_levels=3
    )
    trainer = run(data, RunFolder(tmp_path / "run"), config)
    figures = measure_test_pairs(trainer, RunFolder(tmp_path / "run"))
    assert figures["similarity"] < 0.5 * figures["similarity_before"]


@pytest.mark.slow
def test_the_affine_network_learns_a_constant_offset(tmp_path: Path) -> None:
    """The IR masks lie 16 px further right and 10 px further down, as on a rigid rig."""
    data = write_masks(tmp_path / "masks", 10, (240, 320), offset_xy_px=(16, 10))
    config = TrainConfig(
        "affine", (240, 320), "mask", "mse", augment=False, epochs=8, batch=4, lr=1e-3, pyramid_levels=4
    )
    trainer = run(data, RunFolder(tmp_path / "run"), config)
    figures = measure_test_pairs(trainer, RunFolder(tmp_path / "run"))
    assert figures["similarity"] < 0.5 * figures["similarity_before"]


@pytest.mark.slow
@pytest.mark.parametrize(("similarity", "learns"), [("dice", True), ("mse", False)])
def test_dice_alone_teaches_a_network_to_bring_masks_together(tmp_path: Path, similarity: str, learns: bool) -> None:
    """The IR masks lie 70 px further right, two to three widths of a person: no pair overlaps."""
    data = write_masks(tmp_path / "masks", 10, (240, 320), offset_xy_px=(70, 20), size=0.4)
    config = TrainConfig(
        "affine", (240, 320), "mask", similarity, augment=False, epochs=15, batch=4, lr=1e-3, pyramid_levels=1
    )
    trainer = run(data, RunFolder(tmp_path / "run"), config)
    measure_test_pairs(
        trainer, RunFolder(tmp_path / "run")
    )  # takes the best epoch's weights: the last one's still swing
    before, after = (float(dice.mean()) for dice in overlap(trainer))
    assert before == 0.0
    assert after > 0.6 if learns else after < 0.1


def overlap(trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft Dice (N,) of the test pairs without alignment and with the network's."""
    data = PairDataset(trainer.split.test, trainer.config.size_hw, "mask", augment=False, seed=0)
    moving, fixed = (
        torch.stack([to_float(data[0, i][name]) for i in range(len(data))]) for name in ("moving", "fixed")
    )
    with torch.no_grad():
        moved = SpatialTransformer()(moving, trainer.net.eval()(moving, fixed).flow)
    before, after = (2 * (image * fixed).sum((1, 2, 3)) / (image + fixed).sum((1, 2, 3)) for image in (moving, moved))
    return before, after
