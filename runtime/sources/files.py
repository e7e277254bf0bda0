"""Recorded frames: a video file, or a folder or glob of images."""

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
from av.error import FFmpegError

from vr.runtime.errors import InputError, StreamError
from vr.runtime.ffmpeg import av
from vr.runtime.preprocess import Frame, check_frame
from vr.runtime.sources.base import Role, Stamped
from vr.runtime.sources.decoding import Decoder, plausible_fps
from vr.runtime.sources.image_bytes import decode_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
DEFAULT_FPS = 30.0
_PLAUSIBLE_FPS = (0.1, 1000.0)


class VideoFileSource:
    """Every whole frame of a video file, with the file's own timestamps from the first frame on."""

    live = False

    def __init__(self, path: Path, role: Role) -> None:
        """Opens the file and decodes its first frame. Raises InputError if either fails."""
        _check_file(path, "video")
        self.name = str(path)
        self._decoder = _open_video(path, role)
        self.fps = plausible_fps(self._decoder.fps, *_PLAUSIBLE_FPS)
        self.length = self._decoder.length
        self._count = 0
        self._start_s: float | None = None
        self._last_s = -1.0
        self._first = self._next()
        if self._first is None:
            self.close()
            raise InputError(f"video {path} has no readable frame; record or convert it again")

    @property
    def decode_errors(self) -> int:
        """Frames so far that are damaged, and were left out."""
        return self._decoder.errors

    def read(self) -> Stamped | None:
        """The next frame, RGB (H, W, 3) uint8, IR also (h, w) uint8 or uint16; None at the end of the file."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return self._next()

    def close(self) -> None:
        """Closes the file."""
        self._decoder.close()

    def _next(self) -> Stamped | None:
        try:
            decoded = self._decoder.read()
        except StreamError:
            # A file that was cut off: what is there of it is used.
            decoded = None
        if decoded is None:
            return None
        stamped = Stamped(decoded.frame, self._time_s(decoded.time_s), self._count)
        self._count, self._last_s = self._count + 1, stamped.time_s
        return stamped

    def _time_s(self, media_s: float | None) -> float:
        """Raw streams carry no timestamps, and those of damaged files may go back."""
        if media_s is not None and self._start_s is None:
            self._start_s = media_s
        time_s = self._last_s if media_s is None or self._start_s is None else media_s - self._start_s
        return time_s if time_s > self._last_s else self._last_s + 1.0 / self.fps if self._count else 0.0


def _open_video(path: Path, role: Role) -> Decoder:
    try:
        # "file:" lest a name with a colon is taken for a protocol.
        return Decoder(av.open(f"file:{path}", metadata_errors="replace"), f"video {path}", role, live=False)
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"cannot read {path} as a video; expected a file that FFmpeg can play (MP4, AVI, MKV, ...)"
        ) from error


class ImageSequenceSource:
    """Images as a video: `time_s = index / fps`. 16-bit IR stays uint16, an alpha channel is dropped."""

    live = False

    def __init__(self, name: str, paths: Sequence[Path], role: Role, fps: float = DEFAULT_FPS) -> None:
        """`paths` in playing order. Raises InputError if there are none, or the first cannot be read."""
        if not paths:
            raise InputError(f"no images in {name}; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
        if not fps > 0:
            raise InputError(f"frame rate is {fps:g}; expected more than 0 frames per second")
        self.name = name
        self.fps = fps
        self.length = len(paths)
        self._paths = list(paths)
        self._role: Role = role
        self._count = 0
        read_image(self._paths[0], role)

    def read(self) -> Stamped | None:
        """The next image; None after the last. Raises InputError, naming the file, if it cannot be read."""
        if self._count == len(self._paths):
            return None
        stamped = Stamped(read_image(self._paths[self._count], self._role), self._count / self.fps, self._count)
        self._count += 1
        return stamped

    def close(self) -> None:
        """Nothing is held open between images."""


def open_files(spec: str, role: Role, fps: float = DEFAULT_FPS) -> VideoFileSource | ImageSequenceSource:
    """Opens a video file, one image, a folder of images, or a glob of images (`"frames/*.png"`, `**` for
    sub-folders).

    fps: frame rate of images; a video file brings its own. Raises InputError for anything that cannot be
    used.
    """
    images = list_images(spec)
    if images is None:
        return VideoFileSource(Path(spec), role)
    return ImageSequenceSource(_describe(spec), images, role, fps)


def list_images(spec: str) -> list[Path] | None:
    """The images that a folder, a glob, or the path of one image means, in playing order; None: it is no such thing."""
    path = Path(spec)
    if path.is_dir():
        return sort_naturally(_images(path.iterdir()))
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        return [path]
    if not path.exists() and glob.has_magic(spec):
        matches = glob.glob(spec, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return sort_naturally(_images(map(Path, matches)))
    return None


def _describe(spec: str) -> str:
    if Path(spec).is_dir():
        return f"folder {spec}"
    return spec if Path(spec).is_file() else f"glob {spec}"


def sort_naturally(paths: Sequence[Path]) -> list[Path]:
    """Sorts as people count: frame2 before frame10."""
    return sorted(paths, key=lambda path: [int(t) if t.isdecimal() else t for t in re.split(r"(\d+)", str(path))])


def read_image(path: Path, role: Role) -> Frame:
    """One image: RGB (H, W, 3) uint8 BGR; IR (h, w) or (h, w, 3), uint8 or uint16. Raises InputError."""
    _check_file(path, "image")
    # Not IMREAD_UNCHANGED: these keep 16 bit too, but drop alpha and turn the picture by its EXIF tag.
    flags = cv2.IMREAD_COLOR if role == "rgb" else cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    frame = decode_image(_read_bytes(path), flags, f"{role.upper()} image {path}")
    frame = frame.squeeze(2) if frame.ndim == 3 and frame.shape[2] == 1 else frame
    check_frame(frame, f"{role.upper()} image {path}:")
    return frame


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _images(paths: Iterable[Path]) -> list[Path]:
    """Those that are images; hidden files (macOS writes `._name.png`) are not."""
    return [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]


def _check_file(path: Path, what: str) -> None:
    if not path.exists():
        raise InputError(f"{what} {path} does not exist; expected a file, a folder of images, or a glob of images")
    if not path.is_file():
        raise InputError(f"{what} {path} is not a regular file")
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path} is empty (0 bytes); copy or record it again")
