"""The two simulated cameras of `vr.runtime.sim` as sources."""

from dataclasses import dataclass
from functools import lru_cache

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw
from vr.runtime.preprocess import Frame
from vr.runtime.sim import Simulator
from vr.runtime.sources.base import Role, Stamped

PREFIX = "sim:"
_SIDE_RANGE_PX = (64, 4096)
_KEYS = ("seed", "size", "ir_size")
_FRAMES_KEPT = 4
_SEED_DIGITS = 18


@dataclass(frozen=True)
class SimSpec:
    """What `sim:seed=3,size=640x480,ir_size=320x240` says; sizes are (height, width), `size` is that of
    both cameras.
    """

    seed: int = 0
    rgb_hw: SizeHw = (480, 640)
    ir_hw: SizeHw = (480, 640)


def parse_sim(text: str) -> SimSpec:
    """Reads the text of a `sim:` source. Raises InputError naming what is wrong with it."""
    options: dict[str, str] = {}
    for part in filter(None, text.removeprefix(PREFIX).split(",")):
        key, equals, value = part.partition("=")
        if not equals or key not in _KEYS or key in options:
            raise InputError(
                f"{text}: cannot use {part!r}; expected for example sim:seed=3,size=640x480,ir_size=320x240"
            )
        options[key] = value
    default = SimSpec()
    rgb_hw = _parse_size(text, options["size"]) if "size" in options else default.rgb_hw
    ir_hw = _parse_size(text, options["ir_size"]) if "ir_size" in options else rgb_hw
    seed = options.get("seed", str(default.seed))
    if not seed.isdecimal() or len(seed) > _SEED_DIGITS:
        raise InputError(f"{text}: seed {seed!r} is not a whole number from 0 up, of at most {_SEED_DIGITS} digits")
    return SimSpec(int(seed), rgb_hw, ir_hw)


def _parse_size(text: str, size: str) -> SizeHw:
    sides = size.lower().split("x")
    low, high = _SIDE_RANGE_PX
    if len(sides) != 2 or not all(side.isdecimal() and len(side) <= 5 and low <= int(side) <= high for side in sides):
        raise InputError(
            f"{text}: size {size!r} is not WIDTHxHEIGHT with sides of {low} to {high} px, for example 640x480"
        )
    return int(sides[1]), int(sides[0])


class SimScene:
    """One simulator for both cameras: a frame pair is drawn once, whoever asks first."""

    def __init__(self, spec: SimSpec) -> None:
        self._simulator = Simulator(seed=spec.seed, rgb_hw=spec.rgb_hw, ir_hw=spec.ir_hw)
        self._frames = lru_cache(maxsize=_FRAMES_KEPT)(self._simulator.frames)
        self.fps = self._simulator.fps

    def stamped(self, role: Role, index: int) -> Stamped:
        """Frame `index` of one camera."""
        ir, rgb = self._frames(index)
        frame: Frame = ir if role == "ir" else rgb
        return Stamped(frame, self._simulator.time_s(index), index)

    def matrix_rgb_to_ir(self, index: int) -> Float64Array:
        """(2, 3) float64: the true transform of frame `index`, see `vr.runtime.geometry`."""
        return self._simulator.matrix_rgb_to_ir(index)


class SimSource:
    """One camera of a simulated pair; it never ends."""

    live = False
    length = None

    def __init__(self, scene: SimScene, role: Role) -> None:
        self.name = f"{PREFIX} {role}"
        self.fps = scene.fps
        self._scene = scene
        self._role: Role = role
        self._count = 0

    def read(self) -> Stamped | None:
        """The next frame."""
        stamped = self._scene.stamped(self._role, self._count)
        self._count += 1
        return stamped

    def close(self) -> None:
        """Nothing to free."""
