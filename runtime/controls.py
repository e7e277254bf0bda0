"""What can be changed while a pair runs: by the web page, by the keys of the window, from any thread.

`Settings` is one moment of it. `Controls` is asked for it before every picture, so a change acts at once.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from vr.runtime.embedded import DEFAULT
from vr.runtime.errors import InputError
from vr.runtime.geometry import theta_of_numbers
from vr.runtime.live_options import LiveOptions
from vr.runtime.option import Option
from vr.runtime.options import OPTIONS
from vr.runtime.rigs import DEFAULT_RIG
from vr.runtime.search import DEFAULT_SEARCH
from vr.runtime.style import FOLLOW, Follow, Style, View


@dataclass(frozen=True)
class Settings:
    """One moment of what can be changed; defaults and meaning are those of the options of the same names.

    follow: where the transform comes from, see `vr.runtime.style`. theta: six numbers of an affine, or nine of a
    homography, normalised, row by row (`vr.runtime.geometry`): what `hand` shows, and where `estimate` begins to look;
    None if nobody has set one. model: name of a built-in model, or a file. mode: mask, or None.
    """

    view: View = "overlay"
    alpha: float = Style.alpha
    palette: str = Style.palette
    split: float = Style.split
    ir_above: int = Style.ir_above
    follow: Follow = "estimate"
    theta: tuple[float, ...] | None = None
    model: str = DEFAULT
    mode: str | None = None
    rig: str = DEFAULT_RIG
    search: str = DEFAULT_SEARCH

    @property
    def style(self) -> Style:
        """How the picture is drawn."""
        return Style(self.view, self.alpha, self.palette, self.split, self.ir_above)

    @staticmethod
    def of(options: LiveOptions) -> "Settings":
        """What a run begins with."""
        named = {key: getattr(options, key) for key in _OPTION_KEYS if key != "model"}
        return Settings(**named, model=DEFAULT if options.model is None else str(options.model))


_OPTION_KEYS = ("view", "alpha", "palette", "split", "ir_above", "follow", "model", "mode", "rig", "search")
_TRANSFORM_KEYS = ("follow", "theta")
SETTINGS: tuple[str, ...] = (*_OPTION_KEYS, "theta")
"""Names of all settings."""


class Controls:
    """The settings of one pair; every method may be called from any thread."""

    def __init__(self, settings: Settings | None = None, models: tuple[str, ...] = ()) -> None:
        """models: what may be chosen as `model` beside the one that is set."""
        self._lock = threading.Lock()
        self._settings = settings or Settings()
        self.models = tuple(dict.fromkeys((self._settings.model, *models)))
        self._listeners: list[Callable[[Settings], None]] = []

    @property
    def settings(self) -> Settings:
        """What holds now."""
        return self._settings

    def listen(self, listener: Callable[[Settings], None]) -> None:
        """It is called after every change, in the thread that made it."""
        self._listeners.append(listener)

    def change(self, values: Mapping[str, Any]) -> Settings:
        """Sets some settings, all or none, and returns what holds now. Raises InputError for what cannot be set."""
        checked = {key: self._checked(key, value) for key, value in values.items()}
        with self._lock:
            changed = replace(self._settings, **checked)
            if changed.follow == "hand" and changed.theta is None and not checked.keys().isdisjoint(_TRANSFORM_KEYS):
                raise InputError("follow is hand and theta is not set; expected six numbers as theta")
            self._settings = changed
        for listener in self._listeners:
            listener(changed)
        return changed

    def estimate_anew(self) -> Settings:
        """Forgets what was set by hand, and where to begin."""
        return self.change({"follow": "estimate", "theta": None})

    def _checked(self, key: str, value: Any) -> Any:
        if key == "theta":
            return _checked_theta(value)
        if key == "follow":
            return _chosen(key, value, FOLLOW)
        if key == "model":
            return _chosen(key, value, self.models)
        if key not in SETTINGS:
            raise InputError(f"there is no setting {key!r:.80}; expected some of {', '.join(SETTINGS)}")
        if key == "mode":
            return None if value is None else _chosen(key, value, ("mask",))
        return _by_option(OPTIONS[key], value)


def as_json(settings: Settings) -> dict[str, Any]:
    """The settings as JSON has them."""
    return asdict(settings)


def _by_option(option: Option, value: Any) -> Any:
    fault = option.type_fault(value, option.key) or option.fault(value, option.key)
    if fault is not None:
        raise InputError(fault)
    return float(value) if option.kind is float else value


def _chosen(key: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{key} is {value!r:.80}; expected one of {', '.join(choices)}")
    return value


def _checked_theta(value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    return tuple(float(number) for number in theta_of_numbers(value).ravel())
