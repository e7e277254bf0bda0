"""The networks alone, from float32 images to the transform; and the thesis's, in PyTorch eager, in the same run."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Timing, measure
from vr.runtime.providers import ORT_PROVIDERS
from vr.runtime.session import Session, import_onnxruntime

BASELINE_HW = (240, 320)
Row = dict[str, Any]


def network_rows(models: dict[str, Path], threads: int, calls: int) -> list[Row]:
    """Each model on each provider that is installed, then the thesis's networks; the ratios are to its AffineNet."""
    rows = [*model_rows(models, threads, calls), *baseline_rows(threads, calls)]
    baseline_ms = next(row["median_ms"] for row in rows if row["name"].startswith("affine"))
    return [row | {"times_thesis": round(baseline_ms / row["median_ms"], 2)} for row in rows]


def model_rows(models: dict[str, Path], threads: int, calls: int) -> list[Row]:
    """In onnxruntime; only what the aligner asks for."""
    rows: list[Row] = []
    for name, path in models.items():
        for provider in installed_providers():
            session = Session(path, provider, threads, transform_only=True)
            moving, fixed = noise(session.info.size_hw)
            feed, outputs = {"moving": moving, "fixed": fixed}, session.output_names
            timing = measure(lambda s=session, f=feed, o=outputs: s.run(f, o), calls)
            row = _row(f"{name} ({session.info.network})", session.info.size_hw, timing, path.stat().st_size)
            rows.append(row | {"runtime": f"onnxruntime {session.provider}", "precision": session.info.precision})
    return rows


def baseline_rows(threads: int, calls: int) -> list[Row]:
    """The thesis's networks as the thesis ran them, the faster of two times.

    PyTorch is a quarter faster once the process has freed large memory before; the baseline is to be at its best.
    """
    import torch

    from vr.models import registry

    torch.set_num_threads(threads)
    moving, fixed = (torch.from_numpy(image) for image in noise(BASELINE_HW))
    nets = {name: registry.build(name, {"size_hw": list(BASELINE_HW)}).eval() for name in ("affine", "voxelmorph")}
    with torch.inference_mode():
        rounds = [
            {name: measure(lambda n=net: n(moving, fixed), calls) for name, net in nets.items()} for _ in range(2)
        ]
    rows: list[Row] = []
    for name, net in nets.items():
        timing = min((one[name] for one in rounds), key=lambda one: one.median_ms)
        weights_bytes = sum(p.numel() * p.element_size() for p in net.parameters())
        row = _row(f"{name} (thesis)", BASELINE_HW, timing, weights_bytes)
        rows.append(row | {"runtime": "PyTorch eager", "precision": "fp32"})
    return rows


def installed_providers() -> list[str]:
    """Those of onnxruntime that this machine has, the CPU first; TensorRT is left to `benchmarks.gpu`."""
    available = import_onnxruntime().get_available_providers()
    return [name for name, ort_name in ORT_PROVIDERS.items() if ort_name in available and name != "tensorrt"]


def noise(size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Two random images (1, 1, H, W): the time does not depend on what is in them."""
    rng = np.random.default_rng(0)
    moving, fixed = (rng.random((1, 1, *size_hw), dtype=np.float32) for _ in range(2))
    return moving, fixed


def _row(name: str, size_hw: tuple[int, int], timing: Timing, file_bytes: int) -> Row:
    size = "x".join(map(str, size_hw))
    return {"name": name, "height_x_width": size, "size_mb": round(file_bytes / 1e6, 2), **timing.to_json()}
