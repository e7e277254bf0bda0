"""What a step of the unsupervised trainings consists of: learning rate, clipping, average, precision, the end."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers import write_pairs
from vr.models.affine import AffineNet
from vr.models.base import Registration, RegistrationNet
from vr.models.geometry import affine_flow
from vr.models.voxelmorph import VoxelMorphNet
from vr.train import checkpoint
from vr.train.config import TrainConfig
from vr.train.data import list_pairs
from vr.train.evaluation import evaluate
from vr.train.loop import Trainer, fit
from vr.train.run_folder import RunFolder
from vr.train.schedule import rate_factor

CPU = torch.device("cpu")
SMALL = TrainConfig("voxelmorph", (32, 48), epochs=3, batch=2, lr=1e-3, val_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"), 8)


def never() -> bool:
    return False


def run(data: Path, root: Path, config: TrainConfig, after_step: Callable[[Trainer], None] | None = None) -> Trainer:
    trainer = Trainer(config, list_pairs(data), CPU, "run")
    root.mkdir()
    watch = after_step or (lambda _trainer: None)
    fit(trainer, RunFolder(root), never, lambda _step, _loss: watch(trainer), lambda _trainer: None)
    return trainer


def gradient_norm(trainer: Trainer) -> float:
    gradients = [p.grad.flatten() for p in trainer.net.parameters() if p.grad is not None]
    return float(torch.cat(gradients).norm())


def test_the_cosine_is_that_of_torch() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=39, eta_min=0.01)
    for step in range(40):
        assert rate_factor("cosine", step, 40, 0) == pytest.approx(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()


def test_warm_up_rises_in_equal_steps_to_the_full_rate() -> None:
    factors = [rate_factor("constant", step, 100, 4) for step in range(7)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])
    assert rate_factor("cosine", 4, 100, 4) == 1.0
    assert rate_factor("cosine", 99, 100, 4) == pytest.approx(0.01)
    assert rate_factor("cosine", 200, 100, 4) == pytest.approx(0.01)


def test_steps_come_after_half_and_three_quarters() -> None:
    factors = [rate_factor("step", step, 8, 0) for step in range(8)]
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_every_step_is_taken_at_the_rate_of_the_schedule(data: Path, tmp_path: Path) -> None:
    rates: list[float] = []
    config = replace(SMALL, schedule="cosine", warmup=2)
    run(data, tmp_path / "run", config, lambda t: rates.append(t.optimizer.param_groups[0]["lr"]))
    assert rates == [1e-3 * rate_factor("cosine", step, 6, 2) for step in range(6)]


def test_gradients_are_no_longer_than_told(data: Path, tmp_path: Path) -> None:
    free: list[float] = []
    run(data, tmp_path / "free", SMALL, lambda t: free.append(gradient_norm(t)))
    limit = min(free) / 2
    clipped: list[float] = []
    run(data, tmp_path / "clipped", replace(SMALL, clip=limit), lambda t: clipped.append(gradient_norm(t)))
    assert clipped == pytest.approx([limit] * 6, rel=1e-3)


def test_the_average_of_the_weights_is_validated_and_exported(data: Path, tmp_path: Path) -> None:
    steps: list[torch.Tensor] = []

    def keep(trainer: Trainer) -> None:
        steps.append(torch.cat([p.detach().double().flatten() for p in trainer.net.parameters()]))

    start = Trainer(SMALL, list_pairs(data), CPU, "run").net
    expected = torch.cat([p.detach().double().flatten() for p in start.parameters()])
    trainer = run(data, tmp_path / "run", replace(SMALL, ema=0.3), keep)
    for number, weights in enumerate(steps, start=1):
        decay = min(0.3, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * weights
    last, best = (checkpoint.load(tmp_path / "run" / name) for name in ("last.pt", "best.pt"))
    assert last.average is not None and best.average is None
    assert torch.allclose(flattened(last.average), expected, atol=1e-7)
    assert not torch.allclose(flattened(last.weights), expected, atol=1e-5)
    assert torch.equal(flattened(last.weights), steps[-1])
    exported = replace(best, weights=last.average)
    assert torch.equal(flattened(trainer.checkpoint(resumable=False).weights), flattened(exported.weights))
    batches = list(trainer.loader.batches("val", [[(0, 0), (0, 1)]]))
    for name, net in (("exported", exported.build()), ("last", last.build())):
        loss = evaluate(net, batches, trainer.objective, CPU, True)["loss"]
        assert (loss == trainer.history[-1]["val_loss"]) == (name == "exported")


def flattened(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.double().flatten() for tensor in weights.values()])


def lowered(net: RegistrationNet, layer: torch.nn.Module) -> tuple[Registration, Registration, list[torch.dtype]]:
    """The registration in float32 and under autocast, and what a layer gave in each."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    moving, fixed = torch.rand(2, 2, 1, *net.size_hw, generator=generator)
    kinds: list[torch.dtype] = []
    layer.register_forward_hook(lambda _module, _inputs, output: kinds.append(output.dtype))
    with torch.no_grad():
        plain = net(moving, fixed)
        with torch.autocast("cpu", torch.bfloat16):
            return plain, net(moving, fixed), kinds


def test_only_the_body_of_the_affine_network_is_lowered() -> None:
    net = AffineNet((222, 222))
    plain, low, kinds = lowered(net, net.convs[3])
    assert kinds == [torch.float32, torch.bfloat16]
    assert low.theta is not None and low.theta.dtype == low.flow.dtype == torch.float32
    # Not rounded to 8 bits anywhere, and the flow follows from theta as exactly as in float32.
    assert not torch.equal(low.theta, low.theta.bfloat16().float())
    assert torch.equal(low.flow, affine_flow(low.theta, 222, 222))
    assert 0.0 < float((low.flow - plain.flow).abs().max()) < 0.5


@pytest.mark.parametrize("integration_steps", [0, 5])
def test_only_the_body_of_the_dense_network_is_lowered(integration_steps: int) -> None:
    net = VoxelMorphNet((32, 48), integration_steps=integration_steps)
    plain, low, kinds = lowered(net, net.decoder[2])
    assert kinds == [torch.float32, torch.bfloat16]
    assert low.flow.dtype == torch.float32
    assert not torch.equal(low.flow, low.flow.bfloat16().float())
    assert 0.0 < float((low.flow - plain.flow).abs().max()) < 0.02


def test_mixed_precision_trains_on_a_cpu_when_asked_for(data: Path, tmp_path: Path) -> None:
    assert not Trainer(SMALL, list_pairs(data), CPU, "run").amp
    kinds: set[torch.dtype] = set()

    def keep(trainer: Trainer) -> None:
        trainer.net.decoder[1].register_forward_hook(lambda _m, _i, output: kinds.add(output.dtype))  # type: ignore[index]

    plain = run(data, tmp_path / "plain", SMALL)
    low = run(data, tmp_path / "low", replace(SMALL, amp=True), keep)
    assert kinds == {torch.float32, torch.bfloat16}  # validation is in float32
    assert {p.dtype for p in low.net.parameters()} == {torch.float32}
    losses = [trainer.history[-1]["val_loss"] for trainer in (plain, low)]
    assert losses[0] != losses[1] == pytest.approx(losses[0], abs=1e-3)


@pytest.mark.parametrize("measure", ["val_loss", "val_error_px"])
def test_a_run_that_gets_no_better_ends(data: Path, tmp_path: Path, measure: str) -> None:
    """A learning rate that cannot go well makes later epochs worse."""
    trainer = run(data, tmp_path / "run", replace(SMALL, lr=0.5, epochs=40, patience=2, stop_on=measure))
    values = [row[measure] for row in trainer.history]
    best = values.index(min(values))
    assert trainer.epoch == len(values) == best + 3 < 40
    assert checkpoint.load(tmp_path / "run" / "best.pt").epoch == best + 1
    more = replace(SMALL, lr=0.5, epochs=40, patience=3, stop_on=measure)
    again = Trainer(more, list_pairs(data), CPU, "run")
    again.restore(RunFolder(tmp_path / "run").resume())
    assert not again.is_done


def test_the_training_loss_weighs_every_pair_alike(tmp_path: Path) -> None:
    """Five pairs in batches of two: the last batch is a single one."""
    losses: list[float] = []
    config = replace(SMALL, epochs=1, lr=1e-9, val_share=0.1, test_share=0.1)
    trainer = Trainer(config, list_pairs(write_pairs(tmp_path / "pairs", 7)), CPU, "run")
    assert trainer.train_epoch(never, lambda _step, loss: losses.append(loss))
    trainer.finish_epoch()
    expected = (2 * losses[0] + 2 * losses[1] + losses[2]) / 5
    assert trainer.history[0]["train_loss"] == pytest.approx(expected, rel=1e-12)
