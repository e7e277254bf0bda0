"""Recordings that were made by a camera with a fault, or damaged afterwards."""

import random
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av

from tests.bench.camera import Pictures, rate_now
from tests.bench.coded import DRAWN_HW, Scene
from tests.bench.control import Fault, FaultBoard
from tests.bench.encoders import CLOCK_HZ, H264Encoder, JpegEncoder
from vr.runtime.geometry import SizeHw

PICTURE_FAULTS = ("freeze", "duplicate", "reorder", "resolution", "rate", "hz9")
BYTE_FAULTS = ("garbage", "half", "cut")
CODECS = {".ts": "h264", ".avi": "mjpeg", ".mkv": "mjpeg", ".mp4": "mjpeg"}
_HALF_EVERY, _GARBAGE_EVERY_S = 3, 0.2


def write_file(
    path: Path,
    role: str,
    duration_s: float,
    faults: list[Fault] | None = None,
    fps: float = 30.0,
    size_hw: SizeHw = DRAWN_HW,
) -> list[Fault]:
    """Records the coded scene, of which scene time is time in the file, with faults of the camera at the given times.

    path: its suffix says container and codec, see CODECS. faults: kinds of PICTURE_FAULTS. Returns them, with what
    they injected.
    """
    time_s = 0.0
    board = FaultBoard(lambda: time_s)
    planned = [board.plan(fault.kind, fault.begin_s, fault.end_s - fault.begin_s) for fault in faults or []]
    pictures, codec = Pictures(board, Scene(role), size_hw), CODECS[path.suffix]
    encoder = JpegEncoder() if codec == "mjpeg" else H264Encoder(fps)
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream(codec, rate=round(fps), height=size_hw[0], width=size_hw[1])
        stream.time_base = Fraction(1, CLOCK_HZ)
        while time_s < duration_s:
            step_s = 1.0 / rate_now(board, fps)
            at_once = list(pictures.at(round(time_s * 1000.0)))
            for number, picture in enumerate(at_once):
                encoded = encoder.encode(picture, time_s)
                packet = av.Packet(encoded.data)
                packet.stream, packet.is_keyframe, packet.time_base = stream, encoded.is_key, Fraction(1, CLOCK_HZ)
                packet.pts = packet.dts = round((time_s + number * step_s / len(at_once)) * CLOCK_HZ)
                container.mux(packet)
            time_s += step_s
    return [Fault(**asdict(fault)) for fault in planned]


def damage_file(path: Path, faults: list[Fault], seed: int = 0) -> list[Fault]:
    """Damages the bytes of a video file where it lies; the file's tables stay as they are.

    faults: kinds of BYTE_FAULTS, by time in the file: `garbage` overwrites part of a picture every 0.2 s, `half` zeroes
    the second half of every third picture, `cut` ends the file in the middle of the first picture. Returns them, with
    what they injected.
    """
    rng, places = random.Random(seed), _places(path)
    damaged = [Fault(fault.kind, fault.begin_s, fault.end_s) for fault in faults]
    with path.open("r+b") as file:
        for fault in damaged:
            within = [place for place in places if fault.begin_s <= place[0] < fault.end_s]
            for _, offset, size in _hit(fault, within):
                fault.injected += 1
                half = size // 2
                if fault.kind == "cut":
                    file.truncate(offset + half)
                    return damaged
                file.seek(offset + half)
                file.write(rng.randbytes(size // 4) if fault.kind == "garbage" else bytes(size - half))
    return damaged


def _hit(fault: Fault, within: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    if fault.kind == "cut":
        return within[:1]
    if fault.kind == "half":
        return within[::_HALF_EVERY]
    next_s, hit = fault.begin_s, list[tuple[float, int, int]]()
    for place in within:
        if place[0] >= next_s:
            hit.append(place)
            next_s += _GARBAGE_EVERY_S
    return hit


def _places(path: Path) -> list[tuple[float, int, int]]:
    """Time in the file, first byte and length of every picture."""
    with av.open(str(path)) as container:
        return [
            (float((packet.pts or 0) * packet.time_base), packet.pos, packet.size)
            for packet in container.demux(video=0)
            if packet.size and packet.pos is not None and packet.time_base is not None
        ]
