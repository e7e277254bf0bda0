"""The one table of keys, for the window, the web page and docs/views.md: what each changes, or asks others for.

A key is named by its character, or Left, Right, Up, Down, Space, Esc.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vr.runtime.controls import Controls
from vr.runtime.errors import VrError
from vr.runtime.style import VIEWS
from vr.runtime.thermal.palettes import DISPLAY

ALPHA_STEP, SPLIT_STEP, LEVEL_STEP = 0.05, 0.02, 5
NUDGE_PX, NUDGE_DEG, NUDGE_SCALE = 1.0, 0.25, 1.005
NOT_HERE = "not available here"

Nudge = Callable[[tuple[float, float], float, float], object]


@dataclass(frozen=True)
class Actions:
    """What keys do beside changing the controls; None where there is no such thing. May raise VrError.

    quit: ends the run. toggle_help: shows or hides the list of keys. snapshot: stores the picture, toggle_recording:
    starts or stops a recording; both return a line that says so. nudge: moves the IR picture in the RGB frame by
    `move_xy` px, turns it by `rotate_deg`, positive from x towards y, and enlarges it by `scale`.
    """

    quit: Callable[[], object] | None = None
    toggle_help: Callable[[], object] | None = None
    snapshot: Callable[[], str] | None = None
    toggle_recording: Callable[[], str] | None = None
    nudge: Nudge | None = None


@dataclass(frozen=True)
class Key:
    """Keys that belong together.

    names: that are pressed. label: how they are written down. help: what they do. act: is told which one was pressed,
    and returns what to tell the user, if anything.
    """

    names: tuple[str, ...]
    label: str
    help: str
    act: Callable[[str, Controls, Actions], str | None]


def press(key: str, controls: Controls, actions: Actions) -> str | None:
    """Does what a key is for. Returns a line for the user: what holds now, or why nothing was done; None for a key
    of no meaning, and where there is nothing to say.
    """
    entry = _BY_NAME.get(key)
    if entry is None:
        return None
    try:
        return entry.act(key, controls, actions)
    except VrError as error:
        return str(error)


def _set(controls: Controls, setting: str, value: Any) -> str:
    controls.change({setting: value})
    return f"{setting} {value:g}" if isinstance(value, float) else f"{setting} {value}"


def _next(setting: str, choices: Callable[[Controls], tuple[str, ...]], back: str = "") -> Callable[..., str]:
    """The next of some choices, around the end; the one before with one of the keys `back`."""

    def act(key: str, controls: Controls, _actions: Actions) -> str:
        names = choices(controls)
        at = names.index(getattr(controls.settings, setting))
        return _set(controls, setting, names[(at + (-1 if key and key in back else 1)) % len(names)])

    return act


def _by(setting: str, step: float, ends: tuple[float, float], less: tuple[str, ...]) -> Callable[..., str]:
    """A step up, or down with the keys `less`, and no further than the ends."""

    def act(key: str, controls: Controls, _actions: Actions) -> str:
        now = getattr(controls.settings, setting)
        value = min(max(now + (-step if key in less else step), ends[0]), ends[1])
        return _set(controls, setting, round(value, 6) if isinstance(step, float) else int(value))

    return act


def _view_of_number(key: str, controls: Controls, _actions: Actions) -> str:
    return _set(controls, "view", VIEWS[int(key) - 1])


def _hold(_key: str, controls: Controls, _actions: Actions) -> str:
    return _set(controls, "follow", "hold" if controls.settings.follow == "estimate" else "estimate")


def _reset(_key: str, controls: Controls, _actions: Actions) -> str:
    controls.estimate_anew()
    return "estimating anew"


_MOVES: dict[str, tuple[tuple[float, float], float, float]] = {
    "Left": ((-NUDGE_PX, 0.0), 0.0, 1.0),
    "Right": ((NUDGE_PX, 0.0), 0.0, 1.0),
    "Up": ((0.0, -NUDGE_PX), 0.0, 1.0),
    "Down": ((0.0, NUDGE_PX), 0.0, 1.0),
    "<": ((0.0, 0.0), -NUDGE_DEG, 1.0),
    ">": ((0.0, 0.0), NUDGE_DEG, 1.0),
    "{": ((0.0, 0.0), 0.0, 1.0 / NUDGE_SCALE),
    "}": ((0.0, 0.0), 0.0, NUDGE_SCALE),
}


def _nudge(key: str, _controls: Controls, actions: Actions) -> str:
    if actions.nudge is None:
        return NOT_HERE
    actions.nudge(*_MOVES[key])
    return "aligned by hand; n takes it back"


def _ask(action: Callable[[Actions], Callable[[], object] | None]) -> Callable[..., str | None]:
    """Calls one of the actions; what it returns is for the user if it is text."""

    def act(_key: str, _controls: Controls, actions: Actions) -> str | None:
        asked = action(actions)
        if asked is None:
            return NOT_HERE
        said = asked()
        return said if isinstance(said, str) else None

    return act


# OpenCV's windows of Qt do not tell capitals, so b and o are there too.
KEYS: tuple[Key, ...] = (
    Key(("h",), "h", "show or hide this list", _ask(lambda actions: actions.toggle_help)),
    Key(("v", "b", "V"), "v V", "next, previous view (b as V)", _next("view", lambda _: VIEWS, "bV")),
    Key(tuple("123456789"), "1 ... 9", f"view {VIEWS[0]} ... {VIEWS[-1]}", _view_of_number),
    Key(("+", "=", "-", "_"), "+ -", "more, less infrared (alpha)", _by("alpha", ALPHA_STEP, (0.0, 1.0), ("-", "_"))),
    Key(("p", "o", "P"), "p P", "next, previous palette (o as P)", _next("palette", lambda _: DISPLAY, "oP")),
    Key((",", "."), ", .", "line of view split to the left, right", _by("split", SPLIT_STEP, (0.0, 1.0), (",",))),
    Key(("[", "]"), "[ ]", "level of view threshold down, up", _by("ir_above", LEVEL_STEP, (0, 255), ("[",))),
    Key(("Space", "e"), "Space e", "hold the transform, or estimate it again", _hold),
    Key(("Left", "Right", "Up", "Down"), "arrows", f"move infrared by {NUDGE_PX:g} px", _nudge),
    Key(("<", ">"), "< >", f"turn infrared by {NUDGE_DEG:g} degrees", _nudge),
    Key(("{", "}"), "{ }", "make infrared smaller, larger", _nudge),
    Key(("n",), "n", "forget what was set by hand, and estimate", _reset),
    Key(("m",), "m", "next model", _next("model", lambda controls: controls.models)),
    Key(("s",), "s", "store this picture as PNG", _ask(lambda actions: actions.snapshot)),
    Key(("r",), "r", "start or stop a recording", _ask(lambda actions: actions.toggle_recording)),
    Key(("q", "Q", "Esc"), "q Esc", "quit", _ask(lambda actions: actions.quit)),
)
KEY_HELP: tuple[tuple[str, str], ...] = tuple((key.label, key.help) for key in KEYS)
"""Label and help of each."""
_BY_NAME = {name: key for key in KEYS for name in key.names}
