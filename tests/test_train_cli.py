"""`vr-train` as a user meets it: as a process, on real folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch

from tests.helpers import shared_data, write_masks, write_pairs
from tests.train_command import refused, vr_train_here
from vr.train import checkpoint

SMALL = ("--size", "32x48", "--batch", "2", "--device", "cpu")


def vr_train(*arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, after `code`."""
    script = f"import sys; {code}\nfrom vr.train.cli import main; sys.argv[0] = 'vr-train'; main()"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"), 8)


def test_a_run_leaves_everything_that_it_promises(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "first"
    done = vr_train("voxelmorph", data, "--out", out, "--epochs", 2, *SMALL, "--lambda", 0.1)
    assert done.returncode == 0, done.stderr
    assert "6 pairs to train, 1 to validate, 1 to test" in done.stdout
    assert f"vr-export {out / 'best.pt'}" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        "best.pt",
        "figures.json",
        "last.pt",
        "loss_curve.png",
        "tensorboard",
    ]
    figures = json.loads((out / "figures.json").read_text())
    assert figures["test_pairs"] == 1 and figures["epochs"] == 2 and figures["error_before_px"] > 0
    curve = cv2.imread(str(out / "loss_curve.png"))
    assert curve is not None and curve.shape[1] == 960
    saved = checkpoint.load(out / "best.pt")
    assert saved.run.startswith("first-") and saved.run.endswith("-0")
    assert saved.training["settings"]["lambda_smooth"] == 0.1
    assert saved.build().size_hw == (32, 48)


def test_masks_are_compared_by_dice_and_a_velocity_is_integrated_on_demand(tmp_path: Path) -> None:
    out = tmp_path / "run"
    masks = write_masks(tmp_path / "masks", 8)
    options = ("--mode", "mask", "--integration-steps", 5, "--epochs", 1)
    done = vr_train_here("voxelmorph", masks, "--out", out, *options, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "the flow folds at 0.000% of the pixels" in done.stdout
    assert json.loads((out / "figures.json").read_text())["folding"] == 0.0
    saved = checkpoint.load(out / "best.pt")
    assert saved.training["settings"]["similarity"] == "dice"
    assert saved.config["integration_steps"] == 5 and saved.build().config == saved.config


@pytest.mark.parametrize("mode", ["canny", "laplacian"])
def test_contours_are_a_mode_of_training(data: Path, tmp_path: Path, mode: str) -> None:
    options = ("--mode", mode, "--epochs", 1, *SMALL)
    done = vr_train_here("voxelmorph", data, "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    saved = checkpoint.load(tmp_path / "run" / "best.pt")
    assert (saved.mode, saved.training["settings"]["similarity"]) == (mode, "ncc")


def test_tensorboard_gets_scalars_and_pictures(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert vr_train_here("voxelmorph", data, "--out", out, "--epochs", 2, *SMALL).returncode == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert {"train/loss", "val/loss", "val/error_px"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("val/loss")) == 2
    assert events.Tags()["images"] == ["val/before_after"]
    assert (events.Images("val/before_after")[0].width, events.Images("val/before_after")[0].height) == (96, 32)


def test_bad_input_is_refused_in_one_line_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lonely = write_pairs(tmp_path / "lonely", 4)
    (lonely / "rgb" / "03.png").unlink()
    empty = write_pairs(tmp_path / "empty", 4)
    (empty / "rgb" / "02.png").write_bytes(b"")
    text = write_pairs(tmp_path / "text", 4)
    (text / "ir" / "01.png").write_text("no image")
    cases = [
        (("voxelmorph", tmp_path / "absent", *SMALL), "no folder"),
        (("voxelmorph", lonely, *SMALL), "1 image(s)"),
        (("voxelmorph", empty, *SMALL), "is empty (0 bytes)"),
        (("voxelmorph", text, *SMALL), "as an image; it is damaged"),
        (("voxelmorph", data, *SMALL, "--size", "33x48"), "multiples of 16"),
        (("affine", data, *SMALL), "at least 222 px"),
        (("voxelmorph", data, *SMALL, "--size", "big"), "not HEIGHTxWIDTH"),
        (("voxelmorph", data, *SMALL, "--similarity", "ssim"), "expected one of ngf, ncc, mi, mind, mse, dice"),
        (("voxelmorph", data, *SMALL, "--device", "tpu"), "expected auto, cpu or cuda"),
        (("voxelmorph", data, *SMALL, "--limit", 2), "only 2 pair(s)"),
        (("voxelmorph", data, *SMALL, "--resume"), "nothing to resume"),
    ]
    for arguments, message in cases:
        assert message in refused(vr_train_here(*arguments, "--out", out))
        assert not out.exists(), arguments


def test_a_folder_that_holds_something_is_not_written_to(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "is not empty; add --resume" in refused(vr_train_here("voxelmorph", data, "--out", tmp_path, *SMALL))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "exists and is not empty" in refused(
        vr_train_here("voxelmorph", data, "--out", tmp_path / "mine.txt", *SMALL)
    )
    done = vr_train_here("voxelmorph", data, "--out", tmp_path / "mine.txt" / "run", *SMALL)
    assert "cannot write to the folder" in refused(done)


def test_ctrl_c_saves_and_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    script = "from vr.train.cli import main; main()"
    command = [sys.executable, "-c", script, "voxelmorph", data, "--out", out, "--epochs", "100000", *SMALL]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (out / "last.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"go on with: vr-train voxelmorph {data} --out {out} --resume" in errors
    saved = checkpoint.load(out / "last.pt")
    assert saved.step > 0
    epochs = saved.epoch + 1
    done = vr_train_here("voxelmorph", data, "--out", out, "--resume", "--epochs", epochs)
    assert done.returncode == 0, done.stderr
    assert checkpoint.load(out / "last.pt").epoch == epochs
    assert "cannot resume with other settings: lr is" in refused(
        vr_train_here("voxelmorph", data, "--out", out, "--resume", "--lr", 0.01)
    )


def test_a_missing_torch_is_named_with_its_remedy(data: Path) -> None:
    block = (
        "import importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a)"
    )
    done = vr_train("affine", data, code=block)
    assert refused(done) == 'error: torch is missing; install it with: pip install "vr-registration[train]"'


def test_help_needs_no_torch() -> None:
    done = vr_train("--help", code="sys.modules['torch'] = None")
    assert done.returncode == 0, done.stderr
    for name in ("affine", "voxelmorph", "import-thesis"):
        assert name in done.stdout


def test_import_thesis_writes_a_checkpoint(tmp_path: Path) -> None:
    weights = shared_data("thesis/model_affine_segmentation_e100.safetensors")
    out = tmp_path / "thesis.pt"
    assert vr_train_here("import-thesis", weights, "--out", out).returncode == 0
    saved = checkpoint.load(out)
    assert (saved.network, saved.mode) == ("affine", "mask")
    assert saved.build()(torch.zeros(1, 1, 240, 320), torch.zeros(1, 1, 240, 320)).theta is not None
    assert "exists already" in refused(vr_train_here("import-thesis", weights, "--out", out))
    (tmp_path / "text.safetensors").write_text("text")
    done = vr_train_here("import-thesis", tmp_path / "text.safetensors", "--out", tmp_path / "other.pt")
    assert "is not a safetensors file" in refused(done)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_refused(data: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot write" in refused(vr_train_here("voxelmorph", data, "--out", tmp_path / "run", *SMALL))


@pytest.mark.slow
def test_affine_trains_on_real_pairs(tmp_path: Path) -> None:
    out = tmp_path / "affine"
    done = vr_train_here("affine", shared_data("roadscene"), "--out", out, "--epochs", 1, "--limit", 10)
    assert done.returncode == 0, done.stderr
    assert checkpoint.load(out / "best.pt").build().size_hw == (240, 320)
