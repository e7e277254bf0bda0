"""From the text of `--ir` and `--rgb` to open sources."""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array
from vr.runtime.sources.base import Role, Source, Stamped, Step
from vr.runtime.sources.camera import STALL_AFTER_S, CameraSource, Watch
from vr.runtime.sources.capture import is_pipe, open_capture
from vr.runtime.sources.credentials import display_name, resolve
from vr.runtime.sources.files import DEFAULT_FPS, open_files
from vr.runtime.sources.presence import presence_of
from vr.runtime.sources.sim import PREFIX, SimScene, SimSource, parse_sim

DEVICE_PREFIX = "/dev/"
_READ_GRACE_S = 2.0


@dataclass(frozen=True)
class SourceOptions:
    """fps: frame rate of image folders. ir_16bit: ask the IR camera for raw 16-bit frames. stall_after: seconds, and
    wait_for_cameras: see `Watch`.
    """

    fps: float = DEFAULT_FPS
    ir_16bit: bool = False
    stall_after: float = STALL_AFTER_S
    wait_for_cameras: bool = False


@dataclass(frozen=True)
class SourcePair:
    """Two open sources, and for `sim:` the true `matrix_rgb_to_ir` of each frame number."""

    ir: Source
    rgb: Source
    truth: Callable[[int], Float64Array] | None = None


@dataclass(frozen=True)
class Steps:
    """What is done to every frame of either source."""

    ir: Sequence[Step] = ()
    rgb: Sequence[Step] = ()

    def of(self, role: Role) -> Sequence[Step]:
        """Those of one of the two."""
        return self.ir if role == "ir" else self.rgb


class SteppedSource:
    """A recording whose frames go through steps when they are read."""

    live = False

    def __init__(self, source: Source, steps: Sequence[Step]) -> None:
        self.name, self.fps, self.length = source.name, source.fps, source.length
        self._source, self._steps = source, steps

    def read(self) -> Stamped | None:
        """See `Source`."""
        stamped = self._source.read()
        if stamped is not None:
            for step in self._steps:
                stamped = step(stamped)
        return stamped

    def close(self) -> None:
        """See `Source`."""
        self._source.close()


def open_source(spec: str, role: Role, options: SourceOptions | None = None, steps: Sequence[Step] = ()) -> Source:
    """Opens one source.

    spec: a camera index ("0"), a device ("/dev/video0"), an rtsp:// or http(s):// URL, a named pipe, a video file, an
    image, a folder or glob of images, or `sim:`. Raises StreamError or InputError if it cannot be used.
    """
    options = options or SourceOptions()
    if not spec:
        raise InputError(f"--{role} is empty; expected a camera, a file, a folder, or sim:")
    if is_camera(spec):
        return _open_camera(spec, role, options, steps)
    if spec.startswith(PREFIX):
        return SteppedSource(SimSource(SimScene(parse_sim(spec)), role), steps)
    return SteppedSource(open_files(spec, role, options.fps), steps)


def _open_camera(spec: str, role: Role, options: SourceOptions, steps: Sequence[Step]) -> CameraSource:
    name, address, is_16bit = display_name(spec), resolve(spec, role), options.ir_16bit and role == "ir"
    watch = Watch(options.stall_after, wait_for_camera=options.wait_for_cameras)
    opens = partial(open_capture, address, name, role, is_16bit, watch.stall_after_s + _READ_GRACE_S)
    return CameraSource(f"camera {name}", opens, watch, steps, presence_of(address), role)


def is_camera(spec: str) -> bool:
    """Whether it names a camera, a network stream, or a named pipe."""
    return spec.isdecimal() or "://" in spec or spec.startswith(DEVICE_PREFIX) or is_pipe(spec)


def is_file(spec: str) -> bool:
    """Whether it names a file, a folder or a glob."""
    return not is_camera(spec) and not spec.startswith(PREFIX)


@contextmanager
def open_pair(
    ir: str, rgb: str, options: SourceOptions | None = None, steps: Steps | None = None
) -> Generator[SourcePair]:
    """Both sources, closed at the end. Raises StreamError or InputError if one, or the combination, cannot
    be used.
    """
    steps = steps or Steps()
    if ir.startswith(PREFIX) or rgb.startswith(PREFIX):
        yield _open_sim_pair(ir, rgb, steps)
        return
    ir_source = open_source(ir, "ir", options, steps.ir)
    with ExitStack() as opening:
        opening.callback(ir_source.close)
        rgb_source = open_source(rgb, "rgb", options, steps.rgb)
        opening.pop_all()
    try:
        yield SourcePair(ir_source, rgb_source)
    finally:
        _close_together(ir_source, rgb_source)


def _close_together(one: Source, other: Source) -> None:
    """Each may wait a while for a camera that does not answer."""
    beside = threading.Thread(target=one.close, name="closing", daemon=True)
    beside.start()
    other.close()
    beside.join()


def _open_sim_pair(ir: str, rgb: str, steps: Steps) -> SourcePair:
    """One scene for both cameras, else the two would have nothing in common."""
    if not (ir.startswith(PREFIX) and rgb.startswith(PREFIX)) or parse_sim(ir) != parse_sim(rgb):
        raise InputError(f"--ir {ir} and --rgb {rgb} show different scenes; give the same sim: text for both")
    scene = SimScene(parse_sim(ir))
    sources = [SteppedSource(SimSource(scene, role), steps.of(role)) for role in ("ir", "rgb")]
    return SourcePair(sources[0], sources[1], scene.matrix_rgb_to_ir)
