"""How fast on a GPU: `python -m benchmarks.gpu [--providers cuda tensorrt] [--precisions fp32 fp16] [--models DIR]`.

- estimate: the network alone, one pair, from float32 images on the host to the transform on the host.
- overlay: `vr.runtime.device_overlay` at each of FRAMES: two frames from the host to the device, look, transform to the
  host and back, draw, the picture to the host. One pair at a time, nothing overlaps.

Each row counts the nodes that were left to another provider (bar: 0), and holds the answers against those of the fp32
file on the CPU. `bar_fps` is what the project asks of a data-centre GPU. The models are exported into DIR where they
are not there yet, which takes PyTorch and a minute each; a box without it gets a DIR from elsewhere. `--providers cpu`
runs it all without a GPU, to see that it works. Writes JSON.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from benchmarks.measure import Timing, machine_facts, measure
from vr.runtime.contract import GraphName, Precision, parse_size
from vr.runtime.device_overlay import DeviceOverlay
from vr.runtime.errors import VrError
from vr.runtime.geometry import CORNERS, SizeHw, apply_matrix
from vr.runtime.placement import Placement
from vr.runtime.preprocess import network_input
from vr.runtime.session import Session
from vr.runtime.sim import Simulator

RESULTS = Path(__file__).parent / "results" / "gpu.json"
FRAMES: tuple[SizeHw, ...] = ((480, 640), (1080, 1920))
BAR_FPS = {(480, 640): 1500, (1080, 1920): 500}
IR_HW = (480, 640)
PAIRS = 8
MATRIX = 8192
Pair = tuple[np.ndarray, np.ndarray]
Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What is measured. calls: runs that are timed, after `warm_up` others."""

    models: Path
    checkpoint: Path = Path("default")
    providers: Sequence[str] = ("cuda", "tensorrt")
    precisions: Sequence[Precision] = ("fp32", "fp16")
    frames: Sequence[SizeHw] = FRAMES
    ir_hw: SizeHw = IR_HW
    calls: int = 500
    warm_up: int = 50
    drawn: dict[SizeHw, list[Pair]] = field(default_factory=dict, compare=False)

    def file(self, graph: GraphName, precision: Precision) -> Path:
        """The model; exported where it is not there yet."""
        path = self.models / f"{graph}-{precision}.onnx"
        if not path.exists():
            from vr.export.cli import export_checkpoint

            export_checkpoint(
                self.checkpoint, path, graph, precision, None, transform=None, dynamic=False, overwrite=False
            )
        return path

    def pairs(self, rgb_hw: SizeHw) -> list[Pair]:
        """IR and RGB frames, drawn beforehand."""
        if rgb_hw not in self.drawn:
            simulator = Simulator(seed=0, rgb_hw=rgb_hw, ir_hw=self.ir_hw)
            self.drawn[rgb_hw] = [simulator.frames(index) for index in range(PAIRS)]
        return self.drawn[rgb_hw]

    def time(self, call: Callable[[Pair], object], pairs: list[Pair]) -> Timing:
        """Of one call, with one pair after the other."""
        turn = iter(range(10**9))
        return measure(lambda: call(pairs[next(turn) % len(pairs)]), self.calls, self.warm_up)


def main() -> None:
    """Parses, measures, writes, prints."""
    parser = argparse.ArgumentParser(description="Measures estimate and overlay graphs on a GPU.")
    parser.add_argument("--providers", nargs="+", default=["cuda", "tensorrt"], help="cuda, tensorrt, openvino, cpu")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "fp16"], choices=get_args(Precision))
    parser.add_argument("--frames", nargs="+", type=parse_size, default=list(FRAMES), help="RGB frames, HxW")
    parser.add_argument("--checkpoint", type=Path, default=Path("default"), help="what is exported (default: default)")
    parser.add_argument("--models", type=Path, help="folder of the exported models (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"JSON file to write (default {RESULTS.name})")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.models or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = run(Options(folder, args.checkpoint, args.providers, args.precisions, args.frames))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    for row in result["rows"]:
        print(describe(row))


def run(options: Options) -> dict[str, Any]:
    """All rows. A provider that does not start here is a row with its error."""
    rows: list[Row] = []
    for provider in options.providers:
        for precision in options.precisions:
            rows.append(_guarded({"what": "estimate"}, provider, precision, options, _measure_estimate))
            for rgb_hw in options.frames:
                what = {"what": "overlay", "height_x_width": f"{rgb_hw[0]}x{rgb_hw[1]}"}
                measured = _overlay_at(rgb_hw)
                rows.append(_guarded(what, provider, precision, options, measured))
    return {"machine": machine_facts() | gpu_facts(), "peak": peak(), "rows": rows}


def describe(row: Row) -> str:
    """One line."""
    name = f"{row['what']:9}{row.get('height_x_width', ''):10} {row['provider']:9} {row['precision']}"
    if "error" in row:
        return f"{name}  {row['error']}"
    bar = f"  (bar {row['bar_fps']})" if "bar_fps" in row else ""
    return f"{name} {row['fps']:9.1f} fps{bar}  p99 {row['p99_ms']:.2f} ms  {row['placement']}"


Measured = Callable[[str, Precision, Options], Row]


def _guarded(what: Row, provider: str, precision: Precision, options: Options, measured: Measured) -> Row:
    row = {**what, "provider": provider, "precision": precision}
    try:
        return row | measured(provider, precision, options)
    except VrError as error:
        return row | {"error": str(error)}


def _measure_estimate(provider: str, precision: Precision, options: Options) -> Row:
    session = Session(options.file("estimate", precision), provider, transform_only=True)
    reference = Session(options.file("estimate", "fp32"), "cpu", 1, transform_only=True)
    size_hw, mode = session.info.size_hw, session.info.mode
    pairs = [
        (network_input(ir, size_hw, mode), network_input(rgb, size_hw, mode))
        for ir, rgb in options.pairs(options.frames[0])
    ]

    def ask(one: Session, pair: Pair) -> dict[str, np.ndarray]:
        return cast(dict[str, np.ndarray], one.run({"moving": pair[0], "fixed": pair[1]}, one.output_names))

    timing = options.time(lambda pair: ask(session, pair), pairs)
    parity = max(theta_error_px(ask(session, pair)["theta"][0], ask(reference, pair)["theta"][0]) for pair in pairs)
    return _row(timing, session.placement) | {"theta_from_cpu_px": round(parity, 4)}


def _overlay_at(rgb_hw: SizeHw) -> Measured:
    def measured(provider: str, precision: Precision, options: Options) -> Row:
        device = DeviceOverlay(options.file("overlay", precision), provider)
        reference = DeviceOverlay(options.file("overlay", "fp32"), "cpu", 1)
        pairs = options.pairs(rgb_hw)
        timing = options.time(lambda pair: _look_and_draw(device, pair), pairs)
        row = _row(timing, device.placement) | {"cuda_graph": device.is_captured}
        row |= {"bar_fps": BAR_FPS[rgb_hw]} if rgb_hw in BAR_FPS else {}
        return row | _parity(device, reference, pairs[:2])

    return measured


def _look_and_draw(device: DeviceOverlay, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """The transform and the picture of a pair."""
    ir, rgb = pair
    theta = device.look(ir if ir.ndim == 3 else ir[:, :, None], rgb)["theta"][0]
    return theta, device.draw(theta)


def _parity(device: DeviceOverlay, reference: DeviceOverlay, pairs: list[Pair]) -> Row:
    """Largest difference of the transforms, and share of the pixels of the pictures that differ visibly; of one
    transform, so that the two are measured apart.
    """
    thetas, apart = [], []
    for pair in pairs:
        (found, _), (expected, picture) = (_look_and_draw(one, pair) for one in (device, reference))
        thetas.append(theta_error_px(found, expected))
        difference = np.abs(device.draw(expected).astype(int) - picture.astype(int)).max(axis=2)
        apart.append(float((difference > 1).mean()))
    return {"theta_from_cpu_px": round(max(thetas), 4), "pixels_from_cpu": round(max(apart), 6)}


def theta_error_px(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest distance of the corners that two theta map, px of a frame of 320x240."""
    difference = apply_matrix(found, CORNERS) - apply_matrix(expected, CORNERS)
    return float(np.linalg.norm(difference * (160.0, 120.0), axis=1).max())


def _row(timing: Timing, placement: Placement) -> Row:
    return {**timing.to_json(), "nodes_elsewhere": placement.elsewhere.total(), "placement": placement.text}


def gpu_facts() -> dict[str, str]:
    """Name and driver of the GPUs; nothing where there is none."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"gpu": "; ".join(line.strip() for line in listed.splitlines())}


def peak() -> dict[str, float]:
    """What PyTorch reaches on the first GPU: products of matrices in TFLOP/s, copies in GB/s; empty without one."""
    try:
        import torch
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {}
    result: dict[str, float] = {}
    for name, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        matrix = torch.randn(MATRIX, MATRIX, device="cuda", dtype=dtype)
        seconds = _gpu_seconds(lambda matrix=matrix: matrix @ matrix)
        result[f"matmul_{name}_tflops"] = round(2.0 * MATRIX**3 / seconds / 1e12, 1)
    host = torch.empty(64 << 20, dtype=torch.uint8)
    for name, source in (("pageable", host), ("pinned", host.pin_memory())):
        on_gpu = source.cuda()
        up, down = (
            _gpu_seconds(lambda s=source, g=on_gpu: g.copy_(s)),
            _gpu_seconds(lambda s=source, g=on_gpu: s.copy_(g)),
        )
        result |= {f"upload_{name}_gb_s": round(host.numel() / up / 1e9, 1)}
        result |= {f"download_{name}_gb_s": round(host.numel() / down / 1e9, 1)}
    return result


def _gpu_seconds(call: Callable[[], object]) -> float:
    """The shortest of some calls, each to its end on the GPU."""
    import torch

    def to_the_end() -> None:
        call()
        torch.cuda.synchronize()

    return measure(to_the_end, calls=20, warm_up=3).median_ms / 1000.0


if __name__ == "__main__":
    main()
