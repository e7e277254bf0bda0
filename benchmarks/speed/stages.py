"""What each stage costs alone, at 640x480 and one thread: decode, preprocess, estimate, filter, warp, blend, encode."""

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import Timing, measure, summarise
from benchmarks.speed.feeds import SCENE_FPS, Scene, draw_scene
from vr.runtime import Aligner
from vr.runtime.alignment import DEFAULT_ALPHA, Alignment
from vr.runtime.blend import overlay, render
from vr.runtime.preprocess import network_input
from vr.runtime.sim import Simulator
from vr.runtime.sinks import Output, VideoSink
from vr.runtime.sinks.targets import FileTarget
from vr.runtime.sources.base import Stamped
from vr.runtime.sources.files import VideoFileSource
from vr.runtime.style import VIEWS, Style

Row = dict[str, Any]
SIZE_HW = (480, 640)
CODEC_STAGES, NETWORK_STAGES = ("decode", "encode"), ("estimate",)
_SHARE = "all but network and codec"


def stage_rows(models: dict[str, Path], calls: int) -> list[Row]:
    """Of each model; the last row is the share of what is neither network nor codec in the frame's time."""
    scene = draw_scene(SIZE_HW)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        codec = {
            "decode": time_decoding(Path(folder), scene, calls),
            "encode": time_encoding(Path(folder), scene, calls),
        }
    for name, path in models.items():
        timings = {**time_alignment(Aligner.load(path, "cpu", 1), scene, calls), **codec}
        rows += [{"name": name, "stage": stage, **timing.to_json()} for stage, timing in timings.items()]
        rows.append({"name": name, "stage": _SHARE, "share": round(overhead_share(timings), 3)})
    return rows


def overhead_share(timings: dict[str, Timing]) -> float:
    """Medians of all stages but network and codec, over those of all but the codec."""
    ms = {stage: timing.median_ms for stage, timing in timings.items() if stage not in CODEC_STAGES}
    return 1.0 - sum(ms[stage] for stage in NETWORK_STAGES) / sum(ms.values())


def view_rows(calls: int) -> list[Row]:
    """`render` of a new pair by a known transform, of grey IR as it is and in a palette."""
    ir, rgb = draw_scene(SIZE_HW)[0]
    known = Alignment("estimated", None, Simulator(0, SIZE_HW, SIZE_HW).matrix_rgb_to_ir(0), None, SIZE_HW, ir)
    rows: list[Row] = []
    for view, palette in product(VIEWS, ("none", "ironbow")):
        style = Style(view, palette=palette)

        def draw(style: Style = style) -> None:
            render(style, known.carried_to(ir, SIZE_HW, "estimated", 0.0), rgb)

        rows.append({"name": view, "palette": palette, **measure(draw, calls).to_json()})
    return rows


def time_alignment(aligner: Aligner, scene: Scene, calls: int) -> dict[str, Timing]:
    """The aligner's stages as it tells them itself, then warp and blend of what it found."""
    ir, rgb = scene[0]
    size_hw, mode = aligner.info.size_hw, aligner.info.mode
    alignments = [aligner(ir, rgb, time_s=index / SCENE_FPS) for index in range(calls)]
    found = alignments[-1]
    feed = {"moving": network_input(ir, size_hw, mode), "fixed": network_input(rgb, size_hw, mode)}
    drawn = found.carried_to(ir, found.rgb_hw, found.state, 0.0)
    drawn.moved_8bit  # noqa: B018 - computed once, so that the blend is timed alone
    return {
        "preprocess": measure(lambda: [network_input(frame, size_hw, mode) for frame in (ir, rgb)], calls),
        "estimate": measure(lambda: aligner._session.run(feed, aligner.info.transform_names), calls),
        "filter": _told(alignments, "filter"),
        "warp": measure(lambda: found.warper(np.asarray(ir, np.uint8)), calls),
        "blend": measure(lambda: overlay(drawn, rgb, DEFAULT_ALPHA), calls),
    }


def _told(alignments: list[Alignment], stage: str) -> Timing:
    return summarise([one.timings_ms[stage] for one in alignments[len(alignments) // 10 :]])


def time_decoding(folder: Path, scene: Scene, calls: int) -> Timing:
    """Both frames of a pair, from files."""
    paths = [folder / "ir.mp4", folder / "rgb.mp4"]
    for side, path in enumerate(paths):
        write_video(path, [np.asarray(pair[side], np.uint8) for pair in scene], calls + 30)
    sources = [VideoFileSource(path, "rgb") for path in paths]
    try:
        return measure(lambda: [source.read() for source in sources], calls)
    finally:
        for source in sources:
            source.close()


def time_encoding(folder: Path, scene: Scene, calls: int) -> Timing:
    """One picture into the recording of `--record`."""
    sink = VideoSink(FileTarget(folder / "out.mp4", overwrite=True))
    sink.start(SCENE_FPS)
    aligner = Aligner.load("small", "cpu", 1)
    ir, rgb = scene[0]
    alignment, count = aligner.estimate(ir, rgb), iter(range(10 * calls))

    def one() -> None:
        index = next(count)
        stamped = Stamped(rgb, index / SCENE_FPS, index)
        picture = scene[index % len(scene)][1]
        sink.write(Output(index, stamped.time_s, stamped, stamped, alignment, {}, picture))

    timing = measure(one, calls)
    sink.close(complete=True)
    return timing


def write_video(path: Path, frames: list[np.ndarray], count: int) -> Path:
    """`count` frames at 30 per second, the given ones over and over, as `--record` writes them."""
    h, w = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), SCENE_FPS, (w, h))
    for index in range(count):
        frame = frames[index % len(frames)]
        writer.write(frame if frame.ndim == 3 else np.dstack([frame] * 3))
    writer.release()
    return path
