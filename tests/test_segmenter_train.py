"""`vr-train segmenter`: loss, figures, exact resume, and the command."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.segmenter_folder import write_labelled
from tests.test_train_loop import flat, never, state
from tests.train_command import refused, vr_train_here
from vr.models.segmenter import PERSON_CLASS, SegmenterNet, build_segmenter
from vr.models.voxelmorph import VoxelMorphNet
from vr.runtime.errors import InputError, ModelError
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.run_folder import RunFolder
from vr.train.segmenter_config import SegmenterConfig
from vr.train.segmenter_data import list_labelled
from vr.train.segmenter_loop import (
    WARM_UP_STEPS,
    SegmenterTrainer,
    fit,
    intersection_over_union,
    overlap,
    rate_at,
    segmentation_loss,
)

CPU = torch.device("cpu")
SMALL = SegmenterConfig((32, 32), epochs=2, batch=2, lr=1e-3, val_share=0.2, test_share=0.2)
OPTIONS = ("--size", "32x32", "--batch", 2, "--epochs", 1, "--device", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven images: 5 to train, the last of which joins a batch."""
    return write_labelled(tmp_path_factory.mktemp("labelled"), 7, (32, 40))


def after(steps: int) -> Callable[[], bool]:
    """True from the call number `steps` on, as Ctrl-C in that step."""
    calls = iter(range(1, 1_000_000))
    return lambda: next(calls) >= steps


def run(data: Path, folder: RunFolder, config: SegmenterConfig, should_stop: Callable[[], bool] = never) -> None:
    trainer = SegmenterTrainer(config, list_labelled(data), CPU, "run-20260101-0")
    folder.root.mkdir(exist_ok=True)
    if folder.last.exists():
        trainer.restore(folder.resume())
    fit(trainer, folder, should_stop, lambda _step, _loss: None, lambda _trainer: None)


def test_a_resumed_run_ends_with_the_same_bits(data: Path, tmp_path: Path) -> None:
    """Stopped in the middle of the first of two epochs."""
    whole, parts = (RunFolder(tmp_path / name) for name in ("whole", "parts"))
    run(data, whole, SMALL)
    run(data, parts, SMALL, after(1))
    torch.rand(7)  # what another program would do to torch's global state in between
    assert state(parts) != state(whole)
    run(data, parts, SMALL)
    assert state(parts) == state(whole)
    assert flat(checkpoint.load(parts.best).weights) == flat(checkpoint.load(whole.best).weights)


def test_no_batch_holds_a_single_image(data: Path) -> None:
    trainer = SegmenterTrainer(SMALL, list_labelled(data), CPU, "run")
    assert len(trainer.split.train) == 5 and trainer.steps_per_epoch == 2
    with pytest.raises(InputError, match="only 1 image to train on"):
        SegmenterTrainer(replace(SMALL, limit=3), list_labelled(data), CPU, "run")


def test_iou_is_the_one_of_sets() -> None:
    rng = np.random.default_rng(0)
    found, truth = rng.integers(0, 2, (2, 3, 20, 30))
    counts = overlap(torch.from_numpy(found), torch.from_numpy(truth)).tolist()
    for label, (intersection, union) in enumerate(counts):
        a, b = ({tuple(index) for index in np.argwhere(one == label)} for one in (found, truth))
        assert intersection_over_union(intersection, union) == pytest.approx(len(a & b) / len(a | b))
    assert intersection_over_union(0, 0) == 1.0


def test_the_loss_is_cross_entropy_and_dice() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 2, 4, 5), generator=generator, dtype=torch.float64)
    person = torch.randint(0, 2, (2, 4, 5), generator=generator)
    both = whole = entropy = 0.0
    for n, y, x in np.ndindex(2, 4, 5):
        low, high = logits[n, :, y, x].tolist()
        p, t = 1.0 / (1.0 + math.exp(low - high)), int(person[n, y, x])
        entropy -= math.log(p if t else 1.0 - p) / person.numel()
        both, whole = both + p * t, whole + p + t
    expected = entropy + 0.5 * (1.0 - (2.0 * both + 1.0) / (whole + 1.0))
    assert float(segmentation_loss(logits, person, 0.5)) == pytest.approx(expected, abs=1e-9)
    perfect = torch.stack([-50.0 * (2 * person - 1.0), 50.0 * (2 * person - 1.0)], dim=1)
    assert float(segmentation_loss(perfect, person, 1.0)) < 1e-6


def test_the_step_size_rises_and_falls() -> None:
    rates = [rate_at(step, 300) for step in range(301)]
    peak = int(np.argmax(rates))
    assert peak == WARM_UP_STEPS - 1 and rates[0] < 0.05 and rates[-1] == pytest.approx(0.01)
    assert np.all(np.diff(rates[: peak + 1]) > 0) and np.all(np.diff(rates[peak:]) < 0)


def test_torchvisions_weights_begin_as_what_they_say_of_persons(tmp_path: Path) -> None:
    """Two classes of 21: the odds of a person against the background."""
    torch.manual_seed(0)
    voc = build_segmenter()
    torch.save(voc.deeplab.state_dict(), tmp_path / "voc.pth")
    net = SegmenterNet((32, 48)).eval()
    net.start_from(tmp_path / "voc.pth")
    rgb = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        logits, ours = voc.logits(rgb), net(rgb)
    odds = torch.sigmoid(logits[:, PERSON_CLASS] - logits[:, 0])
    torch.testing.assert_close(ours[:, 0], odds)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("runs") / "first"
    done = vr_train_here("segmenter", data, "--out", out, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_a_run_leaves_everything_that_it_promises(trained: tuple[Path, str]) -> None:
    out, text = trained
    assert "5 images to train, 1 to validate, 1 to test" in text and f"vr-export {out / 'best.pt'}" in text
    names = ["best.pt", "figures.json", "last.pt", "loss_curve.png", "pictures.png", "tensorboard"]
    assert sorted(path.name for path in out.iterdir()) == names
    figures = json.loads((out / "figures.json").read_text())
    assert figures["images"] == {"train": 5, "val": 1, "test": 1} and 0.0 <= figures["iou_person"] <= 1.0
    picture = cv2.imread(str(out / "pictures.png"))
    assert picture is not None and picture.shape[1] == 1440 and picture.std() > 20
    net = checkpoint.load(out / "best.pt").build_segmenter()
    assert net.size_hw == (32, 32) and not net.training


def test_a_run_may_begin_with_another(trained: tuple[Path, str], data: Path, tmp_path: Path) -> None:
    done = vr_train_here("segmenter", data, "--out", tmp_path / "a", "--start", trained[0] / "best.pt", *OPTIONS[2:])
    assert done.returncode == 0, done.stderr
    assert "32x32" in done.stdout and f"from {trained[0] / 'best.pt'}" in done.stdout
    saved = checkpoint.load(tmp_path / "a" / "best.pt")
    assert saved.training["settings"]["lr"] == 2e-4 and saved.training["started_from"]


def test_a_segmenter_is_no_registration_network_and_the_other_way_round(trained: tuple[Path, str]) -> None:
    with pytest.raises(ModelError, match="trained a person segmenter; expected a checkpoint of a registration network"):
        checkpoint.load(trained[0] / "best.pt").build()
    net = VoxelMorphNet((32, 48))
    with pytest.raises(ModelError, match=r"trained the voxelmorph network; expected .* vr-train segmenter"):
        Checkpoint("voxelmorph", net.config, net.state_dict(), "gray", "run").build_segmenter()


def test_bad_requests_are_refused_in_one_line_and_write_nothing(
    trained: tuple[Path, str], data: Path, tmp_path: Path
) -> None:
    net = VoxelMorphNet((32, 48))
    foreign = tmp_path / "foreign.pt"
    checkpoint.save(foreign, Checkpoint("voxelmorph", net.config, net.state_dict(), "gray", "run"))
    (tmp_path / "text.pt").write_text("text")
    out = tmp_path / "out"
    cases = [
        ((data, "--size", "16x32"), "at least 32"),
        ((data, "--size", "big"), "--size: size 'big' is not HEIGHTxWIDTH"),
        ((data, "--backbone", "vgg"), "expected one of mobilenet_v3_large, resnet50, resnet101"),
        ((data, "--batch", 1), "batch 1 is out of bounds; expected 2"),
        ((data, "--start", foreign), "trained the voxelmorph network"),
        ((data, "--start", tmp_path / "text.pt"), "is not a checkpoint"),
        ((data, "--start", trained[0] / "best.pt", "--backbone", "resnet50"), "leave --backbone out"),
        ((data, "--weights", tmp_path / "text.pt"), "--weights: "),
        ((data, "--weights", tmp_path / "absent.pth"), "No such file"),
        ((data, "--weights", foreign, "--start", foreign), "give one of them"),
        ((data, "--resume"), "nothing to resume"),
        ((data / "images",), "no folder"),
    ]
    for arguments, message in cases:
        assert message in refused(vr_train_here("segmenter", *arguments, "--out", out)), arguments
        assert not out.exists(), arguments
    assert "exists and is not empty" in refused(vr_train_here("segmenter", data, "--out", trained[0], *OPTIONS))
    changed = vr_train_here("segmenter", data, "--out", trained[0], "--resume", "--lr", 0.1)
    assert "cannot resume with other settings: lr is" in refused(changed)
    others = write_labelled(tmp_path / "others", 8, (32, 40))
    again = vr_train_here("segmenter", others, "--out", trained[0], "--resume")
    assert "the images are not those that run" in refused(again)


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["segmenter", data, "--out", out, *OPTIONS, "--epochs", "100000"]
    command = [sys.executable, "-c", "from vr.train.cli import main; main()", *map(str, words)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (out / "last.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in errors
    assert f"go on with: vr-train segmenter {data} --out {out} --resume" in errors
    epochs = checkpoint.load(out / "last.pt").epoch + 1
    done = vr_train_here("segmenter", data, "--out", out, "--resume", "--epochs", epochs)
    assert done.returncode == 0, done.stderr
