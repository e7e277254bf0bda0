"""What is attacked: for each kind of input valid ones to begin with, hand-made evil ones, and what reads it."""

import io
import json
import pickle
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from benchmarks.fuzz import evil_models
from benchmarks.fuzz.mutation import mutated, mutated_text

MARKER = "executed"
"""A file of this name in the working folder means that an input had code executed."""
_FRAMES_READ = 50
_TRAIN_DATA = "vr.train.data"


@dataclass(frozen=True)
class Kind:
    """suffixes: of the file. seeds, evil: contents. use: reads a file in an empty folder of its own. is_text: changes
    are made to text. modules: what `use` imports, to be loaded before memory is limited.
    """

    suffixes: tuple[str, ...]
    seeds: Callable[[], list[bytes]]
    evil: Callable[[], list[bytes]]
    use: Callable[[Path, np.random.Generator], object]
    is_text: bool = False
    modules: tuple[str, ...] = ()

    def content(self, rng: np.random.Generator) -> bytes:
        """One input: an evil one in one of ten, else a changed seed."""
        evil, seeds = self.evil(), self.seeds()
        if evil and rng.random() < 0.1:
            return evil[int(rng.integers(len(evil)))]
        seed = seeds[int(rng.integers(len(seeds)))]
        if self.is_text and rng.random() < 0.7:
            return mutated_text(rng, seed.decode()).encode(errors="surrogatepass")
        return mutated(rng, seed)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (MARKER, "w")


@lru_cache
def _pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    color = rng.integers(0, 255, (40, 56, 3)).astype(np.uint8)
    deep = rng.integers(0, 65535, (40, 56)).astype(np.uint16)
    found = [cv2.imencode(suffix, color)[1].tobytes() for suffix in (".png", ".jpg", ".tiff", ".bmp", ".webp")]
    return found + [cv2.imencode(suffix, deep)[1].tobytes() for suffix in (".png", ".tiff")]


@lru_cache
def _evil_pictures() -> list[bytes]:
    """Headers that claim 100000x100000 px or the most that the format can, some with valid checksums."""
    png, jpeg, tiff, bmp, webp, *_ = _pictures()
    found: list[bytes] = []
    for width, height in ((100_000, 100_000), (16_384, 16_384), (0, 0), (0xFFFFFFFF, 1), (16_000, 15)):
        chunk = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
        found.append(png[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:])
        found.append(bmp[:18] + struct.pack("<II", width, height) + bmp[26:])
    start = jpeg.index(b"\xff\xc0")
    found.append(jpeg[: start + 5] + b"\xff\xff\xff\xff" + jpeg[start + 9 :])
    found.append(webp[:26] + b"\xff\x3f\xff\x3f" + webp[30:])
    return [
        *found,
        tiff.replace(struct.pack("<HHII", 256, 4, 1, 56), struct.pack("<HHII", 256, 4, 1, 10**6)),
        b"",
        b"\0",
    ]


def _use_picture(path: Path, rng: np.random.Generator) -> object:
    from vr.runtime.sources.files import read_image
    from vr.train.data import read_image as read_training_image

    return read_training_image(path) if rng.random() < 0.3 else read_image(path, "ir" if rng.random() < 0.5 else "rgb")


@lru_cache
def _videos() -> list[bytes]:
    found: list[bytes] = []
    frames = np.random.default_rng(0).integers(0, 255, (4, 48, 64, 3)).astype(np.uint8)
    for suffix, code in ((".mp4", "mp4v"), (".avi", "MJPG"), (".avi", "FFV1"), (".mkv", "mp4v")):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"video{suffix}"
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 10.0, (64, 48))
            for frame in frames:
                writer.write(frame)
            writer.release()
            found += [path.read_bytes()] if path.exists() else []
    return found


def _evil_videos() -> list[bytes]:
    """A playlist and a concatenation that would read other files, as FFmpeg formats allow."""
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    return [playlist, b"ffconcat version 1.0\nfile /etc/passwd\n", b"v=0\r\nm=video 9 RTP/AVP 96\r\n", b""]


def _use_video(path: Path, rng: np.random.Generator) -> object:
    from vr.runtime.sources.files import VideoFileSource

    source = VideoFileSource(path, "ir" if rng.random() < 0.5 else "rgb")
    try:
        return [source.read() for _ in range(_FRAMES_READ)][-1]
    finally:
        source.close()


def _use_model(path: Path, rng: np.random.Generator) -> object:
    from vr.runtime import Aligner
    from vr.runtime.segmenter import Segmenter

    if rng.random() < 0.2:
        return Segmenter(path, "cpu", 1)
    frames = rng.integers(0, 255, (2, 48, 64, 3)).astype(np.uint8)
    return Aligner.load(path, "cpu", 1, search="none")(frames[0], frames[1], time_s=0.0).overlay(frames[1])


@lru_cache
def _archives() -> list[bytes]:
    images = np.random.default_rng(0).integers(0, 255, (3, 16, 20, 3)).astype(np.uint8)
    masks = images[..., 0]
    found: list[bytes] = []
    for save in (np.savez, np.savez_compressed):
        content = io.BytesIO()
        save(content, rgb=images, ir=images, mask_rgb=masks, mask_ir=masks)
        found.append(content.getvalue())
    return found


@lru_cache
def _evil_archives() -> list[bytes]:
    """Pickles, names that lead elsewhere, claims of terabytes, and zeros that unpack to 300 MB."""
    pickled = io.BytesIO()
    np.savez(pickled, rgb=np.array([_Bomb()], dtype=object), ir=np.array([_Bomb()], dtype=object))
    found = [pickled.getvalue()]
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }"
    for shape, names, length in (
        ("(1000000, 100000, 100000, 3)", ("rgb.npy", "ir.npy"), 100),
        ("(1, 10000, 10000, 3)", ("rgb.npy", "ir.npy"), 300_000_000),
        ("(1, 4, 4)", ("../../rgb.npy", "/tmp/ir.npy", "rgb.npy", "ir.npy"), 16),
        ("(-1, -4, 4)", ("rgb.npy", "ir.npy"), 16),
    ):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
            text = (header % shape).encode() + b"\n"
            member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(length)
            for name in names:
                file.writestr(name, member)
        found.append(content.getvalue())
    return found


def _use_archive(path: Path, rng: np.random.Generator) -> object:
    from vr.train.prepare.archive import Archive

    archive = Archive(path)
    return [image.sum() for key in archive.shapes for _, image in zip(range(3), archive.masks(key), strict=False)]


_PAIRS = b"""alpha = 0.4
[[pair]]
name = "gate"
ir = "sim:seed=3,size=64x64"
rgb = "sim:seed=3,size=64x64"
transforms = "gate.jsonl"
[[pair]]
ir = "rtsp://user:secret@host/ir"
rgb = 'frames/*.png'
estimate_every = 3
"""


def _use_pairs(path: Path, rng: np.random.Generator) -> object:
    from vr.runtime.live_options import LiveOptions
    from vr.runtime.pairs import read_pairs

    return read_pairs(path, LiveOptions("", ""))


def _use_sim(path: Path, rng: np.random.Generator) -> object:
    from vr.runtime.sources.sim import SimScene, parse_sim

    spec = parse_sim("sim:" + path.read_bytes().decode(errors="replace"))
    return SimScene(spec).stamped("ir", 0) if max(*spec.rgb_hw, *spec.ir_hw) <= 128 else spec


def _use_options(path: Path, rng: np.random.Generator) -> object:
    """The value of one option of a command that else would be refused for its missing files."""
    from vr.runtime.cli import main

    flags = (
        "--ir",
        "--rgb",
        "--slop-ms",
        "--ir-offset-ms",
        "--alpha",
        "--estimate-every",
        "--rig",
        "--search",
        "--view",
    )
    flags += ("--frames", "--threads", "--provider", "--model", "--record", "--pairs", "--mode", "--fps")
    text = path.read_bytes().decode(errors="replace").replace("\0", "0")
    sys.argv = ["vr-live", "--ir", "missing.mp4", "--rgb", "missing.mp4", str(rng.choice(flags)), text]
    main()
    return None


def _use_json(path: Path, rng: np.random.Generator) -> object:
    """As landmarks, truth, manifest or list of what is held out, whichever comes."""
    from vr.train.data import read_held_out
    from vr.train.evaluate.pairs import known_pairs

    which = int(rng.integers(4))
    if which == 3:
        return read_held_out(path)
    folder = path.parent / "set"
    for side in ("rgb", "ir"):
        (folder / side).mkdir(parents=True)
        (folder / side / "a.png").write_bytes(_pictures()[0])
    (folder / "landmarks").mkdir()
    path.rename(folder / ("landmarks/a.json", "truth.jsonl", "manifest.jsonl")[which])
    return known_pairs(folder, "all")


_JSONS = [
    {"rgb": [[1, 2], [3, 4.5], [5, 6]], "ir": [[1, 2], [3, 4], [5, 6]]},
    {"stem": "a", "matrix_rgb_to_ir": [[1, 0, 2.5], [0, 1, 3]]},
    {"stem": "a", "split": "train", "decision": "kept"},
    {"roadscene": "all", "tno": ["a", "b"]},
]


@lru_cache
def _checkpoints() -> list[bytes]:
    """A real one in today's format, and in torch's older one."""
    import torch

    from vr.train.checkpoint import built_in

    old, content = io.BytesIO(), built_in("small").read_bytes()
    values = torch.load(io.BytesIO(content), weights_only=True)
    torch.save(values, old, _use_new_zipfile_serialization=False)
    return [content, old.getvalue()]


@lru_cache
def _evil_checkpoints() -> list[bytes]:
    """Pickles that run code, bare and as torch would keep them, and an archive that unpacks to 300 MB."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
        file.writestr("archive/data/0", bytes(300_000_000))
    coded = io.BytesIO()
    with zipfile.ZipFile(coded, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"format": _Bomb()}))
        file.writestr("archive/version", "3\n")
    return [pickle.dumps(_Bomb()), bomb.getvalue(), coded.getvalue(), b""]


def _use_checkpoint(path: Path, rng: np.random.Generator) -> object:
    from vr.train import checkpoint

    return checkpoint.load(path).build()


def _none() -> list[bytes]:
    return []


@lru_cache
def _transforms(*suffixes: str) -> list[bytes]:
    from vr.runtime.interchange import save_transform

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"rig{suffix}" for suffix in suffixes]
        matrix = np.array([[0.5, 0.02, 3.0], [-0.01, 0.49, -2.5]])
        return [save_transform(path, matrix, (480, 640), (240, 320)).read_bytes() for path in paths]


def _evil_calibrations() -> list[bytes]:
    """Deep nesting, on which OpenCV's parsers overflow the stack, and claims of large matrices."""
    claim = b"H: !!opencv-matrix\n   rows: 30000\n   cols: 30000\n   dt: d\n   data: [ 1. ]\n"
    xml = b'<?xml version="1.0"?><opencv_storage>' + b"<a>" * 80_000
    return [b"H: " + b"[" * 250_000, b"H: " + b"- " * 120_000, b"H: " + b"{a: " * 60_000, xml, claim, b""]


def _use_transform(path: Path, _rng: np.random.Generator) -> object:
    from vr.runtime.interchange import read_transform

    return read_transform(path, (480, 640), (240, 320))


KINDS: dict[str, Kind] = {
    "image": Kind(
        (".png", ".jpg", ".tif", ".bmp", ".webp"), _pictures, _evil_pictures, _use_picture, modules=(_TRAIN_DATA,)
    ),
    "video": Kind((".mp4", ".avi", ".mkv"), _videos, _evil_videos, _use_video),
    "model": Kind((".onnx",), evil_models.valid, evil_models.evil, _use_model),
    "archive": Kind((".npz",), _archives, _evil_archives, _use_archive, modules=("vr.train.prepare.archive",)),
    "pairs": Kind(
        (".toml",), lambda: [_PAIRS], lambda: [b"a = " + b"[" * 20_000, b"alpha = " + b"9" * 9999], _use_pairs, True
    ),
    "sim": Kind((".txt",), lambda: [b"seed=3,size=64x64,ir_size=96x64", b"", b"seed=0"], _none, _use_sim, True),
    "option": Kind((".txt",), lambda: [b"100", b"auto", b"0.5", b"fixed", b"sim:seed=1"], _none, _use_options, True),
    "json": Kind(
        (".json",),
        lambda: [json.dumps(one).encode() + b"\n" for one in _JSONS],
        lambda: [b"[" * 100_000, b'{"rgb": [[' + b"9" * 400 + b', 1]], "ir": [[1, 1]]}'],
        _use_json,
        True,
        (_TRAIN_DATA, "vr.train.evaluate.pairs"),
    ),
    # OpenCV tells YAML from XML by what is in the file.
    "calibration": Kind((".yaml",), lambda: _transforms(".yaml", ".xml"), _evil_calibrations, _use_transform, True),
    "itk": Kind((".tfm", ".mat"), lambda: _transforms(".tfm"), _none, _use_transform, True),
    "theta": Kind((".npy",), lambda: _transforms(".npy"), _none, _use_transform),
    "matrix": Kind((".json",), lambda: _transforms(".json"), lambda: [b"[" * 100_000], _use_transform, True),
    "checkpoint": Kind((".pt",), _checkpoints, _evil_checkpoints, _use_checkpoint, modules=("vr.train.checkpoint",)),
}
