"""What is left of a recording when its process or its machine dies: `python -m benchmarks.powercut [--times 100]`.

Real `vr-live` processes record two cameras (30 frames per second, MJPEG over HTTP) and die at random moments, in turn
with one file and with segments of 2 s. Each picture carries the time at which its camera took it, so what is lost at
the end is counted in seconds of the clock on the wall.

- kill: SIGKILL; what the process has handed to the system stays.
- cut: the power fails. The recording lies on a file system of its own (ext4 on a loop device); the process is stopped,
  the content of the device is copied in that moment, and the copy is mounted: what had not reached the device is gone.
  Linux as root; `--cuts 0` leaves it out.

Exit code 1 if more than ALLOWED_S is lost, a closed file is not whole, pictures are missing in the middle that no
notice told of, or a line of the transforms that is not the last one cannot be read.
"""

import argparse
import json
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.measure import machine_facts
from tests.live_command import start_vr_live
from tests.live_server import mjpeg_camera

RESULTS = Path(__file__).parent / "results" / "powercut.json"
ALLOWED_S = 2.0
FPS = 30.0
SIZE_HW = (240, 320)
SEGMENT = "2s"
LIFE_S = (2.0, 9.0)
_START_S = 60.0
_BITS = 26
_BLOCK_PX = 12
_DISK_BYTES = 64 * 2**20
Row = dict[str, Any]


def main(words: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100, help="processes that are killed")
    parser.add_argument("--cuts", type=int, default=20, help="power cuts")
    parser.add_argument("--at-once", type=int, default=2, help="processes at the same time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(words)
    lives_s = np.random.default_rng(arguments.seed).uniform(*LIFE_S, arguments.times + arguments.cuts)
    report: Row = {"machine": {**machine_facts(), "av": av.__version__}, "fps": FPS, "segment": SEGMENT}
    report["height_x_width"] = "x".join(map(str, SIZE_HW))
    with mjpeg_camera(_picture, FPS) as ir, mjpeg_camera(_picture, FPS) as rgb:

        def one(number: int) -> Row:
            segment = SEGMENT if number % 2 else None
            return die_once(ir, rgb, float(lives_s[number]), segment, cut=number >= arguments.times)

        with ThreadPoolExecutor(arguments.at_once) as pool:
            runs = pool.map(one, range(len(lives_s)))
            rows = list(track(runs, "dying", total=len(lives_s), disable=not sys.stderr.isatty()))
    report |= {way: summary([row for row in rows if row["way"] == way]) for way in ("kill", "cut")}
    report["striking"] = [row for row in rows if row["faults"] or row["out_of_order"]]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({way: report[way] for way in ("kill", "cut")}, indent=2))
    return int(any(row["faults"] for row in rows))


def die_once(ir: str, rgb: str, life_s: float, segment: str | None, cut: bool) -> Row:
    """One process from its start to what it left. life_s: from its first output to its end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = stack.enter_context(_own_disk(folder)) if cut else folder
        words = ["--ir", ir, "--rgb", rgb, "--no-window", "--model", "small", "--estimate-every", "10", "--alpha", "0"]
        words += ["--record", str(disk / "out.mp4"), "--transforms", str(disk / "out.jsonl"), "--keep-free-mb", "0"]
        process = start_vr_live(*words, *([] if segment is None else ["--segment", segment]))
        _wait_for_line(process, disk / "out.jsonl")
        time.sleep(life_s)
        process.send_signal(signal.SIGSTOP if cut else signal.SIGKILL)
        end_s = time.monotonic()
        if cut:
            disk = stack.enter_context(_copy_of_disk(folder))
            process.kill()
        process.communicate()
        row = {"way": "cut" if cut else "kill", "life_s": round(life_s, 2), "segment": segment}
        return {**row, **examine(disk, end_s)}


def examine(folder: Path, end_s: float) -> Row:
    """What is in the folder of a process that ended at `end_s` (monotonic clock)."""
    files = sorted(folder.glob("out*.mp4"))
    pictures = [_marks_ms(path) for path in files]
    marks_ms = np.array([mark for marks in pictures for mark in marks], float)
    end_ms = (end_s * 1000.0) % 2**_BITS
    lines, torn = _lines(folder / "out.jsonl")
    lost_s = (end_ms - marks_ms[-1]) / 1000.0 if len(marks_ms) else float("inf")
    times_s = [line["rgb_time_s"] for line in lines if line["rgb_time_s"] is not None]
    lines_lost_s = end_s - times_s[-1] if times_s else float("inf")
    gaps_ms = np.diff(marks_ms)
    row: Row = {
        "files": len(files),
        "pictures": len(marks_ms),
        "lost_s": round(lost_s, 3),
        "longest_gap_ms": round(float(gaps_ms.max(initial=0.0)), 1),
        "out_of_order": int((gaps_ms < 0.0).sum()),  # a camera that was held up gives several within 1 ms
        "lines": len(lines),
        "lines_lost_s": round(lines_lost_s, 3),
        "lines_without_picture": len(lines) - len(marks_ms),
        "notices": sorted({notice for line in lines for notice in line["notices"]}),
        "torn_last_lines": torn,
        "closed_files": len(files) - 1,
        "broken_closed_files": sum(not is_whole(path) for path in files[:-1]),
        "unlike_in_opencv": sum(_opencv_count(path) != len(marks) for path, marks in zip(files, pictures, strict=True)),
    }
    return {**row, "faults": _faults(row)}


def summary(rows: list[Row]) -> Row:
    """Of the runs of one kind."""
    if not rows:
        return {"times": 0}
    worst = ("lost_s", "lines_lost_s", "longest_gap_ms")
    sums = ("pictures", "lines", "torn_last_lines", "closed_files", "broken_closed_files", "unlike_in_opencv")
    return {
        "times": len(rows),
        "with_faults": sum(bool(row["faults"]) for row in rows),
        "with_notices": sum(bool(row["notices"]) for row in rows),
        **{f"{name}_median": round(float(np.median([row[name] for row in rows])), 3) for name in worst},
        **{f"{name}_max": max(row[name] for row in rows) for name in worst},
        **{name: sum(row[name] for row in rows) for name in sums},
    }


def is_whole(path: Path) -> bool:
    """Whether an MP4 file consists of whole boxes, a fragment at the end, and begins with a picture of its own."""
    data, at, kinds = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        kinds.append(kind)
        at += max(size, 8)
    with av.open(str(path)) as container:
        packet = next(container.demux(video=0))
    return at == len(data) and kinds[-2:] == [b"moof", b"mdat"] and packet.is_keyframe


def _faults(row: Row) -> list[str]:
    """With a notice (`rgb lost`, `recording slow`, ...) pictures may be left out, or be of the other camera."""
    is_told = bool(row["notices"])
    checks = {
        "more of the recording is lost than allowed": row["lost_s"] > ALLOWED_S,
        "more of the transforms is lost than allowed": row["lines_lost_s"] > ALLOWED_S,
        "pictures are out of order": row["out_of_order"] > 0 and not is_told,
        "pictures are missing": row["lines_without_picture"] > ALLOWED_S * FPS and not is_told,
        "a closed file is broken": row["broken_closed_files"] > 0,
        "OpenCV reads something else": row["unlike_in_opencv"] > 0,
    }
    return [text for text, is_so in checks.items() if is_so]


def _picture(_index: int) -> NDArray[np.uint8]:
    """The time in ms as bits, black and white blocks at the lower edge, under something that moves."""
    now_ms = int(time.monotonic() * 1000.0) % 2**_BITS
    picture = np.full((*SIZE_HW, 3), 60, np.uint8)
    cv2.circle(picture, (now_ms // 10 % SIZE_HW[1], 100), 40, (200, 160, 90), cv2.FILLED)
    bits = [255 * (now_ms >> bit & 1) for bit in range(_BITS)]
    picture[-_BLOCK_PX:, : _BITS * _BLOCK_PX] = np.repeat(np.array(bits, np.uint8), _BLOCK_PX)[:, None]
    return picture


def _mark_ms(picture: NDArray[Any]) -> int:
    strip = picture[-_BLOCK_PX // 2, _BLOCK_PX // 2 : _BITS * _BLOCK_PX : _BLOCK_PX].mean(axis=1)
    return sum(1 << bit for bit in range(_BITS) if strip[bit] > 127)


def _marks_ms(path: Path) -> list[int]:
    """Of the pictures that can be decoded; a file that has just begun has none."""
    marks: list[int] = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                marks.append(_mark_ms(frame.to_ndarray(format="bgr24")))
    except (av.error.FFmpegError, IndexError):
        pass
    return marks


def _opencv_count(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def _lines(path: Path) -> tuple[list[Row], int]:
    """The lines, and how many torn ones (0 or 1) follow them. Raises ValueError for any other that is none."""
    texts = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [json.loads(text) for text in texts[:-1]], int(texts[-1] != "")


def _wait_for_line(process: subprocess.Popen[str], path: Path) -> None:
    end_s = time.monotonic() + _START_S
    while not path.exists() or not path.stat().st_size:
        if process.poll() is not None or time.monotonic() > end_s:
            process.kill()
            raise RuntimeError(f"vr-live did not start: {process.communicate()}")
        time.sleep(0.02)


@contextmanager
def _own_disk(folder: Path) -> Generator[Path]:
    """A new file system in a file."""
    image = folder / "disk.img"
    with image.open("wb") as stream:
        stream.truncate(_DISK_BYTES)
    _run(["mkfs.ext4", "-q", str(image)])
    with _mounted(image, folder / "disk") as disk:
        yield disk


@contextmanager
def _copy_of_disk(folder: Path) -> Generator[Path]:
    """The device as it is now, mounted beside; its journal is replayed as after a power cut."""
    shutil.copyfile(folder / "disk.img", folder / "copy.img")
    with _mounted(folder / "copy.img", folder / "copy") as copy:
        yield copy


@contextmanager
def _mounted(image: Path, place: Path) -> Generator[Path]:
    place.mkdir()
    _run(["mount", "-o", "loop", str(image), str(place)])
    try:
        yield place
    finally:
        _run(["umount", str(place)])


def _run(words: Iterable[str]) -> None:
    subprocess.run(list(words), check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
