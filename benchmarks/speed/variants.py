"""The default network at other sizes and precisions: exported for the purpose, which takes some minutes."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.speed.network import model_rows
from vr.export.cli import export_checkpoint
from vr.runtime.contract import Precision

Row = dict[str, Any]
CHECKPOINT = "default"
SIZES = ("120x160", "160x208", "240x320", "480x640")
PRECISIONS: tuple[Precision, ...] = ("fp16", "int8")
TRAINED_SIZE = "240x320"


def variant_rows(threads: int, calls: int) -> list[Row]:
    """float32 at each of SIZES, then the other precisions at the size that it was trained for."""
    wanted: list[tuple[Precision, str]] = [("fp32", size) for size in SIZES]
    wanted += [(precision, TRAINED_SIZE) for precision in PRECISIONS]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for precision, size in wanted:
            path = Path(folder) / f"{precision}-{size}.onnx"
            options = {"transform": None, "dynamic": False, "overwrite": False}
            export_checkpoint(Path(CHECKPOINT), path, "estimate", precision, size, **options)
            rows += model_rows({CHECKPOINT: path}, threads, calls)
    return rows
