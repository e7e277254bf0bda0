"""What is left of a run that something ended: SIGKILL, a full disk, no memory, a damaged file."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import write_pairs
from tests.train_command import refused, vr_train_here
from vr.train import checkpoint

SMALL = ("--size", "32x48", "--batch", "2", "--device", "cpu")
AFFINE = ("--size", "222x222", "--batch", "1", "--limit", "5", "--device", "cpu", "--epochs", "4", "--save-every", "2")
AFFINE_EXTRAS = ("--schedule", "cosine", "--warmup", "3", "--ema", "0.99", "--clip", "0.05", "--lr", "1e-3")
COMMAND = "from vr.train.cli import main; main()"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"), 8)


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs `code`; `arguments` are those of its command line."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=200)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)


def leaves(value: Any) -> list[Any]:
    """All leaves of nested dicts and lists, tensors as bytes."""
    if isinstance(value, dict):
        return [leaf for key in value for leaf in [key, *leaves(value[key])]]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    return [value.numpy().tobytes() if isinstance(value, torch.Tensor) else value]


def test_after_a_sigkill_a_run_ends_with_the_same_bits(data: Path, tmp_path: Path) -> None:
    """12 steps, three in an epoch; killed at a drawn moment after the fourth."""
    arguments = ("affine", data, *AFFINE, *AFFINE_EXTRAS)
    assert vr_train_here(*arguments, "--out", tmp_path / "whole").returncode == 0
    killed = tmp_path / "killed"
    process = start(COMMAND, *arguments, "--out", killed)
    wait_for(lambda: (killed / "last.pt").exists() and checkpoint.load(killed / "last.pt").step >= 4, process)
    time.sleep(random.Random(1).uniform(0.0, 0.4))
    process.kill()
    assert finished(process).returncode == -signal.SIGKILL
    assert 4 <= checkpoint.load(killed / "last.pt").step < 12
    done = vr_train_here("affine", data, "--out", killed, "--resume")
    assert done.returncode == 0, done.stderr
    whole, again = (checkpoint.load(folder / "last.pt") for folder in (tmp_path / "whole", killed))
    assert whole.step == again.step == 12
    for part in ("weights", "average", "optimizer", "rng", "history"):
        assert leaves(getattr(again, part)) == leaves(getattr(whole, part)), part


WRITER = """
import sys, torch
from pathlib import Path
from vr.train import checkpoint
net = torch.nn.Linear(1000, 2000)
for step in range(1_000_000):
    torch.nn.init.constant_(net.weight, step)
    checkpoint.save(Path(sys.argv[1]), checkpoint.Checkpoint("none", {}, net.state_dict(), "gray", "run", step=step))
"""


def test_at_any_moment_of_writing_a_whole_file_is_there(tmp_path: Path) -> None:
    """Halted where a SIGKILL would have ended it, 40 times: the file can be read, and is of one piece."""
    path, part = tmp_path / "last.pt", tmp_path / ".last.pt.part"
    process = start(WRITER, path)
    wait_for(path.exists, process)
    moments, torn = random.Random(0), 0
    for _ in range(40):
        time.sleep(moments.uniform(0.0, 0.02))
        process.send_signal(signal.SIGSTOP)
        saved = checkpoint.load(path)
        assert saved.weights["weight"].eq(saved.step).all()
        torn += part.exists()
        process.send_signal(signal.SIGCONT)
    process.kill()
    finished(process)
    assert torn > 0
    assert checkpoint.load(path).step > 0


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Writing beyond that fails in this process, as on a full disk (Python ignores the signal that would kill it)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_state_that_cannot_be_written_leaves_the_older_one(data: Path, tmp_path: Path) -> None:
    """1 MB is enough for the weights at the start, and too little for weights and optimizer."""
    out = tmp_path / "run"
    with files_of_at_most(1_000_000):
        message = refused(vr_train_here("voxelmorph", data, "--out", out, *SMALL))
    assert f"cannot write the checkpoint {out / 'last.pt'} (File too large); make room" in message
    assert checkpoint.load(out / "last.pt").step == 0
    assert not list(out.glob(".*"))
    assert vr_train_here("voxelmorph", data, "--out", out, "--resume", "--epochs", 1).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's memory this way")
def test_a_batch_that_is_too_large_is_said_in_one_line(tmp_path: Path) -> None:
    """400 MB of room, once everything is loaded, for a step that takes twice as much."""
    many = write_pairs(tmp_path / "many", 30, (48, 64))
    now = "int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()"
    limit = f"resource.setrlimit(resource.RLIMIT_AS, ({now} + 400_000_000, resource.RLIM_INFINITY))"
    options = ("--size", "240x320", "--batch", 24, "--device", "cpu", "--out", tmp_path / "run")
    code = f"import resource, torch, vr.train.session\n{limit}\n{COMMAND}"
    done = finished(start(code, "voxelmorph", many, *options))
    assert "out of memory with 24 pairs per step; start a run with a smaller --batch or --size" in refused(done)
    assert checkpoint.load(tmp_path / "run" / "last.pt").step == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_state_that_is_cut_off_is_refused(data: Path, tmp_path: Path, share: float) -> None:
    assert vr_train_here("voxelmorph", data, "--out", tmp_path, *SMALL, "--epochs", 1).returncode == 0
    whole = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(whole[: int(share * len(whole))])
    message = refused(vr_train_here("voxelmorph", data, "--out", tmp_path, "--resume"))
    assert "last.pt is not a checkpoint; expected a .pt file written by vr-train, whole" in message
    assert (tmp_path / "last.pt").read_bytes() == whole[: int(share * len(whole))]


def mounted(folder: Path, size: str) -> bool:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_full_disk_is_said_whatever_could_not_be_written(data: Path, tmp_path: Path) -> None:
    """A file system of 2.6 MB: there is no room for the second `last.pt` beside the first, `best.pt` and the rest."""
    disk = tmp_path / "disk"
    if not mounted(disk, "2600k"):
        pytest.skip("needs the right to mount a file system")
    try:
        done = vr_train_here("voxelmorph", data, "--out", disk / "run", *SMALL, "--epochs", 50)
        assert "No space left" in refused(done)
        saved = checkpoint.load(disk / "run" / "last.pt")
        assert saved.build() and saved.rng is not None
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_run_with_workers_ends_although_something_is_wrong(tmp_path: Path) -> None:
    """An image vanishes behind the check of all images. The workers are ended, and do not keep the process."""
    data = write_pairs(tmp_path / "pairs", 8)
    vanish = f"pathlib.Path({str(data)!r}, 'ir', '03.png').unlink()"
    take_away = f"import pathlib, vr.train.session as session; session.check_images = lambda _: {vanish}"
    process = start(f"{take_away}\n{COMMAND}", "voxelmorph", data, "--out", tmp_path / "run", *SMALL, "--workers", 2)
    assert "03.png (No such file or directory)" in refused(finished(process))
