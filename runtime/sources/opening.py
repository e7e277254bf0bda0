"""From the text of `--ir` and `--rgb` to open sources."""

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array
from vr.runtime.sources.base import Role, Source
from vr.runtime.sources.camera import open_camera
from vr.runtime.sources.credentials import resolve
from vr.runtime.sources.files import DEFAULT_FPS, open_files
from vr.runtime.sources.sim import PREFIX, SimScene, SimSource, parse_sim

DEVICE_PREFIX = "/dev/"


@dataclass(frozen=True)
class SourceOptions:
    """fps: frame rate of image folders. ir_16bit: ask the IR camera for raw 16-bit frames."""

    fps: float = DEFAULT_FPS
    ir_16bit: bool = False


@dataclass(frozen=True)
class SourcePair:
    """Two open sources, and for `sim:` the true `matrix_rgb_to_ir` of each frame number."""

    ir: Source
    rgb: Source
    truth: Callable[[int], Float64Array] | None = None


def open_source(spec: str, role: Role, options: SourceOptions | None = None) -> Source:
    """Opens one source.

    spec: a camera index ("0"), a device ("/dev/video0"), an rtsp:// or http(s):// URL, a video file, an
    image, a folder or glob of images, or `sim:`. Raises StreamError or InputError if it cannot be used.
    """
    options = options or SourceOptions()
    if not spec:
        raise InputError(f"--{role} is empty; expected a camera, a file, a folder, or sim:")
    if spec.startswith(PREFIX):
        return SimSource(SimScene(parse_sim(spec)), role)
    if is_camera(spec):
        return open_camera(resolve(spec, role), is_16bit=options.ir_16bit and role == "ir")
    return open_files(spec, role, options.fps)


def is_camera(spec: str) -> bool:
    """Whether it names a camera or a network stream."""
    return spec.isdecimal() or "://" in spec or spec.startswith(DEVICE_PREFIX)


def is_file(spec: str) -> bool:
    """Whether it names a file, a folder or a glob."""
    return not is_camera(spec) and not spec.startswith(PREFIX)


@contextmanager
def open_pair(ir: str, rgb: str, options: SourceOptions | None = None) -> Generator[SourcePair]:
    """Both sources, closed at the end. Raises StreamError or InputError if one, or the combination, cannot
    be used.
    """
    if ir.startswith(PREFIX) or rgb.startswith(PREFIX):
        yield _open_sim_pair(ir, rgb)
        return
    ir_source = open_source(ir, "ir", options)
    with ExitStack() as opening:
        opening.callback(ir_source.close)
        rgb_source = open_source(rgb, "rgb", options)
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


def _open_sim_pair(ir: str, rgb: str) -> SourcePair:
    """One scene for both cameras, else the two would have nothing in common."""
    if not (ir.startswith(PREFIX) and rgb.startswith(PREFIX)) or parse_sim(ir) != parse_sim(rgb):
        raise InputError(f"--ir {ir} and --rgb {rgb} show different scenes; give the same sim: text for both")
    scene = SimScene(parse_sim(ir))
    return SourcePair(SimSource(scene, "ir"), SimSource(scene, "rgb"), scene.matrix_rgb_to_ir)
