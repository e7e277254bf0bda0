"""An aligner that follows the controls: another model, rig prior or search is loaded beside it while it works on."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vr.runtime.aligner import Aligner
from vr.runtime.alignment import Alignment
from vr.runtime.controls import Controls, Settings
from vr.runtime.device_aligner import DeviceAligner
from vr.runtime.errors import InputError
from vr.runtime.geometry import theta_of_numbers
from vr.runtime.loading import AnyAligner
from vr.runtime.loggers import LOG
from vr.runtime.notices import Notice
from vr.runtime.preprocess import Frame

Load = Callable[[Settings], AnyAligner]
_MADE_OF = ("model", "mode", "rig", "search")
_FAILURE_SHOWN_S = 5.0


@dataclass(frozen=True)
class _Ahead:
    """What `prepare` has made, and of what."""

    aligner: Aligner
    look: Any
    ir: Frame
    rgb: Frame


class SwitchingAligner:
    """`Aligner` for one video, made anew by `load` whenever the settings that it is made of change; also `Troubled`.

    The one before goes on until the next is ready. What cannot be loaded is logged and shown, and the settings go back
    to those that work.
    """

    def __init__(self, aligner: AnyAligner, controls: Controls, load: Load, clock: Callable[[], float]) -> None:
        """clock: monotonic seconds. `aligner` is what the settings of now say."""
        self.current: AnyAligner = aligner
        self._controls, self._load, self._clock = controls, load, clock
        self._made = self._working = controls.settings
        self._started_from: tuple[float, ...] | None = None
        self._lock = threading.Lock()
        self._next: tuple[AnyAligner, Settings] | None = None
        self._notice: tuple[str, float, float] | None = None
        self._loading = False
        controls.listen(self._on_change)

    @property
    def switching_to(self) -> str | None:
        """The model that is being loaded."""
        return self._controls.settings.model if self._loading else None

    @property
    def notice(self) -> Notice | None:
        """What is being loaded, or could not be."""
        notice = self._notice
        if notice is None:
            return None
        what, since_s, until_s = notice
        now_s = self._clock()
        return Notice(what, now_s - since_s) if now_s <= until_s else None

    @property
    def can_prepare(self) -> bool:
        """See `PreparingAligner`."""
        return isinstance(self.current, Aligner) and self.current.can_prepare

    def __call__(self, ir: Frame, rgb: Frame, time_s: float | None = None) -> Alignment:
        """See `Aligner`."""
        self._follow()
        return self.current(ir, rgb, time_s)

    def prepare(self, ir: Frame, rgb: Frame) -> _Ahead | tuple[Frame, Frame]:
        """See `Aligner.prepare`; the frames alone where nothing can be done ahead."""
        aligner = self.current
        if isinstance(aligner, Aligner) and aligner.can_prepare:
            return _Ahead(aligner, aligner.prepare(ir, rgb), ir, rgb)
        return ir, rgb

    def finish(self, look: _Ahead | tuple[Frame, Frame], time_s: float | None = None) -> Alignment:
        """See `Aligner.finish`; what another aligner has looked at is looked at again."""
        self._follow()
        if isinstance(look, tuple):
            return self.current(*look, time_s)
        if look.aligner is self.current:
            return look.aligner.finish(look.look, time_s)
        return self.current(look.ir, look.rgb, time_s)

    def _follow(self) -> None:
        """In the thread that aligns: takes what is ready, and the place where a person says to begin."""
        with self._lock:
            ready, self._next = self._next, None
        if ready is not None:
            self.current, self._working = ready
            self._started_from = None
        settings = self._controls.settings
        if isinstance(self.current, DeviceAligner):
            self.current.draws(settings.style)
        elif settings.follow == "estimate" and settings.theta != self._started_from:
            self._started_from = settings.theta
            self._start(self.current, settings)

    def _start(self, aligner: Aligner, settings: Settings) -> None:
        try:
            aligner.start_from(None if settings.theta is None else theta_of_numbers(settings.theta))
        except InputError as error:
            LOG.warning("estimates do not begin at the transform that was set: %s", error)
            self._tell("cannot begin there", self._clock() + _FAILURE_SHOWN_S)

    def _on_change(self, settings: Settings) -> None:
        with self._lock:
            if _made_of(settings) == _made_of(self._made):
                return
            self._made = settings
            self._tell(f"loading {settings.model}", float("inf"))
            if self._loading:
                return
            self._loading = True
        threading.Thread(target=self._load_newest, name="load model", daemon=True).start()

    def _load_newest(self) -> None:
        """Until what is loaded is what is wanted: somebody may have changed their mind meanwhile."""
        while True:
            wanted = self._made
            try:
                aligner = self._load(wanted)
            except Exception as error:  # whatever a model file does, the pictures go on
                self._give_up(wanted, error)
                return
            with self._lock:
                if _made_of(wanted) == _made_of(self._made):
                    self._next, self._loading, self._notice = (aligner, wanted), False, None
                    return

    def _give_up(self, wanted: Settings, error: Exception) -> None:
        LOG.error("cannot change to model %s: %s", wanted.model, error)
        with self._lock:
            self._loading = False
            self._made = self._working if self._next is None else self._next[1]
            self._tell(f"cannot load {wanted.model}", self._clock() + _FAILURE_SHOWN_S)
            back = {key: getattr(self._made, key) for key in _MADE_OF}
        self._controls.change(back)

    def _tell(self, what: str, until_s: float) -> None:
        self._notice = what, self._clock(), until_s


def _made_of(settings: Settings) -> tuple[Any, ...]:
    return tuple(getattr(settings, key) for key in _MADE_OF)
