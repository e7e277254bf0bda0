"""The default network at other sizes and precisions: exported for the purpose, which takes some minutes."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.speed.network import model_rows
from vr.export.cli import export_checkpoint
from vr.runtime.contract import Precision

Row = dict[str, Any]
CHECKPOINT = "default"
SIZES = ("128x160", "160x208", "240x320", "480x640")
PRECISIONS: tuple[Precision, ...] = ("fp16", "int8")
TRAINED_SIZE = "240x320"


class Variant(NamedTuple):
    """How the network is exported; size: HEIGHTxWIDTH."""

    precision: Precision
    size: str


def variant_rows(threads: int, calls: int) -> list[Row]:
    """float32 at each of SIZES, then the other precisions at the size that it was trained for."""
    wanted = [*(Variant("fp32", size) for size in SIZES), *(Variant(one, TRAINED_SIZE) for one in PRECISIONS)]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, one in enumerate(wanted):
            path = Path(folder) / f"{number}.onnx"
            options = {"transform": None, "dynamic": False, "overwrite": False}
            export_checkpoint(Path(CHECKPOINT), path, "estimate", one.precision, one.size, **options)
            rows += model_rows({CHECKPOINT: path}, threads, calls)
    return rows
