"""One run in several processes: the same result, one writer, and a clean end for all."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.helpers import write_pairs
from tests.train_command import refused, vr_train_here
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.config import TrainConfig
from vr.train.data import list_pairs
from vr.train.loop import Trainer
from vr.train.processes import Processes

COMMAND = "from vr.train.cli import main; main()"
SMALL = ("--size", "32x48", "--batch", "3", "--device", "cpu", "--lr", "1e-3")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine pairs, seven of them to train on: two batches of three, which is an odd number, and one of a single pair."""
    return write_pairs(tmp_path_factory.mktemp("pairs"), 9)


def in_two_processes(*arguments: object) -> list[subprocess.CompletedProcess[str]]:
    """Starts the command twice, as `torchrun --nproc-per-node 2` does; the outcomes in order of rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    processes = [
        subprocess.Popen(
            command,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ends = [process.communicate(timeout=200) for process in processes]
    outcomes = zip(processes, ends, strict=True)
    return [subprocess.CompletedProcess(command, process.returncode, *end) for process, end in outcomes]


def test_two_processes_learn_what_one_does(data: Path, tmp_path: Path) -> None:
    options = ("--epochs", 2, "--clip", 1.0, "--ema", 0.9, "--schedule", "cosine", *SMALL)
    one, two = tmp_path / "one", tmp_path / "two"
    first, second = in_two_processes("voxelmorph", data, "--out", two, *options)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "in 2 processes" in first.stdout and "export it" in first.stdout
    assert second.stdout == ""
    assert vr_train_here("voxelmorph", data, "--out", one, *options).returncode == 0
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    alone, shared = (checkpoint.load(folder / "last.pt") for folder in (one, two))
    assert alone.average is not None and shared.average is not None
    start = Trainer(TrainConfig("voxelmorph", (32, 48)), list_pairs(data), torch.device("cpu"), "").net.state_dict()
    for name, weights in alone.weights.items():
        assert torch.allclose(shared.weights[name], weights, atol=2e-5), name
        assert torch.allclose(shared.average[name], alone.average[name], atol=2e-5), name
    moved = max(float((start[name] - weights).abs().max()) for name, weights in alone.weights.items())
    assert moved > 50 * 2e-5
    for row, other in zip(alone.history, shared.history, strict=True):
        assert other == pytest.approx(row, rel=1e-3, abs=1e-3)
    # A run may go on in another number of processes.
    done = vr_train_here("voxelmorph", data, "--out", two, "--resume", "--epochs", 3)
    assert done.returncode == 0, done.stderr


def test_an_error_is_told_by_the_first_process(tmp_path: Path) -> None:
    first, second = in_two_processes("voxelmorph", tmp_path / "absent", "--out", tmp_path / "run", *SMALL)
    assert "no folder" in refused(first)
    assert "another process of this run has ended" in refused(second)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_stops_all_processes_and_the_state_is_saved(data: Path, tmp_path: Path, number: int) -> None:
    out = tmp_path / "run"
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*program, "-m", "vr.train.cli", "voxelmorph", data, "--out", out, "--epochs", 100_000, *SMALL]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 120
        while not (out / "best.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()
    text = log.read_text()
    assert text.count("stopped after step") == 1, text
    assert f"go on with: torchrun --nproc-per-node 2 -m vr.train.cli voxelmorph {data} --out {out} --resume" in text
    saved = checkpoint.load(out / "last.pt")
    assert f"stopped after step {saved.step};" in text and saved.step >= 2
    assert vr_train_here("voxelmorph", data, "--out", out, "--resume", "--epochs", saved.epoch + 1).returncode == 0


@pytest.mark.parametrize(("size", "count"), [(20, 2), (7, 3), (1, 4)])
def test_shares_are_disjoint_and_weigh_every_pair_alike(size: int, count: int) -> None:
    batch = list(range(size))
    shares = [Processes(rank, count).share_of(batch) for rank in range(count)]
    assert sorted(item for own, weight in shares if weight for item in own) == batch
    assert all(own for own, _weight in shares)
    mean = sum(weight * sum(own) / len(own) for own, weight in shares)
    assert mean == pytest.approx(sum(batch) / size)


def test_a_batch_smaller_than_the_number_of_processes_is_refused(data: Path) -> None:
    config = TrainConfig("voxelmorph", (32, 48), batch=2)
    with pytest.raises(InputError, match="batch 2 cannot be shared by 3 processes; raise --batch"):
        Trainer(config, list_pairs(data), torch.device("cpu"), "run", processes=Processes(0, 3, 0))


def test_more_processes_than_gpus_are_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(InputError, match=f"no GPU for process {count + 2}, this machine has {count}; start"):
        Processes(count + 1, count + 2, count + 1).device_of(torch.device("cuda"))
    assert Processes(0, 1, 0).device_of(torch.device("cuda")) == torch.device("cuda")
    assert Processes(1, 2, 1).device_of(torch.device("cpu")) == torch.device("cpu")
