"""How the picture is drawn, and by what transform: the lists of what may be chosen."""

from dataclasses import dataclass
from typing import Literal, get_args

from vr.runtime.alignment import DEFAULT_ALPHA

View = Literal[
    "overlay",
    "rgb-edges",
    "ir-edges",
    "checkerboard",
    "split",
    "side-by-side",
    "difference",
    "picture-in-picture",
    "threshold",
]
"""overlay: both blended. rgb-edges: outlines of the colour picture on infrared. ir-edges: outlines of infrared on the
colour picture. checkerboard: fields of both in turn. split: colour left of a line, infrared right of it. side-by-side:
the overlay without alignment and with it. difference: where the two differ. picture-in-picture: infrared alone in a
corner of the colour picture. threshold: infrared only where it is brighter than a level.
"""
VIEWS: tuple[View, ...] = get_args(View)
Follow = Literal["estimate", "hold", "hand"]
"""estimate: the network looks at every pair. hold: the last transform stays. hand: one that a person has set."""
FOLLOW: tuple[Follow, ...] = get_args(Follow)
DEFAULT_SPLIT = 0.5
DEFAULT_IR_ABOVE = 160


@dataclass(frozen=True)
class Style:
    """How a picture is drawn.

    alpha: share of infrared where both are mixed, 0 to 1. palette: of the infrared part, one of
    `vr.runtime.thermal.palettes.DISPLAY`. split: place of the line of the view `split`, 0 (left edge) to 1 (right
    edge). ir_above: level, 0 to 255, from which on the view `threshold` shows infrared.
    """

    view: View = "overlay"
    alpha: float = DEFAULT_ALPHA
    palette: str = "none"
    split: float = DEFAULT_SPLIT
    ir_above: int = DEFAULT_IR_ABOVE


DEFAULT_STYLE = Style()
