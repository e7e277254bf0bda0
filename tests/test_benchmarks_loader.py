"""The loader's benchmark on a handful of pairs: what it counts and what it writes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import loader
from tests.helpers import REPOSITORY


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return loader.write_pairs(tmp_path_factory.mktemp("pairs") / "data", 70, 2)


def test_pairs_are_jpeg_files_of_few_scenes(pairs: Path) -> None:
    files = sorted((pairs / "rgb").iterdir())
    assert len(files) == len(list((pairs / "ir").iterdir())) == 70
    assert files[0].read_bytes() == files[2].read_bytes() != files[1].read_bytes()
    image = cv2.imread(str(files[0]))
    assert image is not None and image.shape == (240, 320, 3) and image.std() > 10


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_is_timed_and_its_cpu_time_counted_wherever_it_is_spent(pairs: Path, workers: int) -> None:
    row = loader.measure_loader(pairs, workers)
    assert row["workers"] == workers
    assert 0 < row["slowest"] <= row["pairs_per_s"] <= row["fastest"]
    assert 0.2 < row["cpu_ms_per_pair"] < 50


@pytest.mark.slow
def test_whole_steps_are_timed(pairs: Path) -> None:
    row = loader.measure_training(pairs, "affine", 2)
    assert row["network"] == "affine" and 0 < row["slowest"] <= row["fastest"] < 1000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_that_of_a_process_and_its_descendants() -> None:
    """A parent and a child that each hold 64 MiB."""
    hold = "import sys; held = b'x' * (64 << 20); print('here', flush=True); "
    child = f"{hold}sys.stdin.read()"
    code = (
        f"import subprocess; p = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE); p.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", hold + code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert [process.stdout.readline() for _ in range(2)] == ["here\n"] * 2
            memory = loader._tree_memory_mib(process.pid)
        finally:
            for member in reversed(loader._tree(process.pid)):
                os.kill(member, signal.SIGKILL)
    assert 128 < memory["proportional"] <= memory["resident"] < 300


@pytest.mark.slow
def test_the_report_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "loader.json"
    command = [sys.executable, "-m", "benchmarks.loader", "--pairs", "130", "--scenes", "2", "--steps", "1"]
    done = subprocess.run([*command, "--out", str(out)], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert {len(report[part]) for part in ("training", "memory")} == {2} and len(report["loader"]) == 3
    assert report["machine"]["cores"] > 0 and report["pairs"] == 130
    assert np.all([row["resident_mib"] >= row["proportional_mib"] > 100 for row in report["memory"]])
