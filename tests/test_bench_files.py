"""Recordings with faults: each has the fault that it is said to have, and nothing else."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import FFmpegError, InvalidDataError

from tests.bench.camera import SMALL_HW
from tests.bench.coded import DRAWN_HW, decode
from tests.bench.control import Fault
from tests.bench.files import CODECS, damage_file, write_file

SUFFIXES = sorted(CODECS)
Picture = tuple[float, int | None, tuple[int, ...]]


def pictures(path: Path) -> list[Picture]:
    """Time in the file, scene time and size of every picture that FFmpeg gives."""
    found: list[Picture] = []
    with av.open(str(path), "r") as container:
        for packet in container.demux(video=0):
            try:
                decoded = packet.decode()
            except FFmpegError:
                continue
            for frame in decoded:
                array = np.asarray(frame.to_ndarray(format="gray"))  # type: ignore[union-attr]
                found.append((float(frame.time or 0.0), decode(array), array.shape))  # type: ignore[union-attr]
    start_s = found[0][0]
    return [(time_s - start_s, scene_ms, shape) for time_s, scene_ms, shape in found]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_sound_file_shows_its_own_time(tmp_path: Path, suffix: str) -> None:
    write_file(path := tmp_path / f"a{suffix}", "rgb", 2.0)
    seen = pictures(path)
    assert len(seen) in (60, 61)
    assert all(scene_ms == pytest.approx(1000.0 * time_s, abs=1.5) for time_s, scene_ms, _ in seen)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_frozen_camera_repeats_itself_in_the_file(tmp_path: Path, suffix: str) -> None:
    (fault,) = write_file(path := tmp_path / f"a{suffix}", "ir", 2.0, [Fault("freeze", 0.5, 1.2)])
    times = [scene_ms for _, scene_ms, _ in pictures(path)]
    assert sum(a == b for a, b in itertools.pairwise(times)) == fault.injected
    assert fault.injected == pytest.approx(21, abs=1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_resolution_changes_in_the_file(tmp_path: Path, suffix: str) -> None:
    write_file(path := tmp_path / f"a{suffix}", "ir", 1.5, [Fault("resolution", 0.5, 1.0)])
    assert [shape for shape, _ in itertools.groupby(p[2] for p in pictures(path))] == [DRAWN_HW, SMALL_HW, DRAWN_HW]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["garbage", "half"])
def test_damage_is_there_as_often_as_is_said_and_stays_in_its_time(tmp_path: Path, suffix: str, kind: str) -> None:
    write_file(path := tmp_path / f"a{suffix}", "rgb", 3.0)
    sound, size = pictures(path), path.stat().st_size
    (fault,) = damage_file(path, [Fault(kind, 1.0, 1.6)])
    assert fault.injected == {"garbage": 3, "half": 6}[kind] or suffix == ".ts"
    assert path.stat().st_size == size
    whole = [picture for picture in pictures(path) if picture in sound]
    # Of H.264 what builds on a damaged picture is damaged too, up to the next key picture half a second later.
    assert all(picture in whole for picture in sound if not 0.9 < picture[0] < 2.3)


@pytest.mark.parametrize("suffix", [".ts", ".avi", ".mkv"])
def test_a_cut_file_ends_early(tmp_path: Path, suffix: str) -> None:
    write_file(path := tmp_path / f"a{suffix}", "rgb", 3.0)
    damage_file(path, [Fault("cut", 1.5, 2.0)])
    assert pictures(path)[-1][0] == pytest.approx(1.5, abs=0.1)


def test_a_cut_mp4_has_lost_its_index(tmp_path: Path) -> None:
    write_file(path := tmp_path / "a.mp4", "rgb", 1.0)
    damage_file(path, [Fault("cut", 0.5, 0.6)])
    with pytest.raises(InvalidDataError):
        av.open(str(path))
