"""Draws docs/dashboard.svg, the terminal's view of a generated pair: `python -m benchmarks.dashboard_picture`."""

import argparse
import io
import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from vr.runtime.alignment import Alignment
from vr.runtime.controls import Controls
from vr.runtime.dashboard import Dashboard
from vr.runtime.sim import Simulator
from vr.runtime.sinks.base import Output
from vr.runtime.sources.base import Stamped
from vr.runtime.status import Status

SEED, FRAMES, FPS, COLUMNS = 12, 250, 25.0, 86
_FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


@dataclass
class Pair:
    """What the dashboard looks at."""

    status: Status
    controls: Controls
    newest: Output | None = None
    length: int | None = None


def picture() -> str:
    """SVG of a pair after ten seconds, always the same; the viewer's own monospaced font."""
    scene, now_s = Simulator(SEED), 0.0
    (ir, rgb), matrix = scene.frames(0), scene.matrix_rgb_to_ir(0)
    alignment = Alignment("estimated", 0.98, matrix, None, scene.rgb_hw, ir)
    pair = Pair(Status("gate", clock=lambda: now_s), Controls())
    for index in range(FRAMES):
        now_s = index / FPS
        stamps = Stamped(ir, now_s + 0.008, index), Stamped(rgb, now_s, index)
        pair.newest = Output(index, now_s, *stamps, alignment, {"total": 9.0 + index % 7 / 3}, None)
        pair.status.output(pair.newest)
    console = Console(
        record=True, width=COLUMNS, height=30, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Dashboard(console, console).drawn([pair]))
    return _FONT_FACES.sub("", console.export_svg(title="vr-live", unique_id="dashboard"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "dashboard.svg")
    arguments = parser.parse_args()
    arguments.out.write_text(picture(), encoding="utf-8")
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
