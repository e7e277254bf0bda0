"""Video files, folders and globs as sources."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.sources import Source, SourceOptions, Stamped, open_source
from vr.runtime.sources.files import sort_naturally


def read_all(source: Source) -> list[Stamped]:
    frames = list(iter(source.read, None))
    source.close()
    return frames


def gray(value: int, size_hw: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    return np.full((*size_hw, 3), value, np.uint8)


def write_video(path: Path, count: int, fps: float, codec: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    assert writer.isOpened()
    for index in range(count):
        writer.write(gray(20 * index))
    writer.release()
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG")])
def test_video_gives_every_frame_with_its_time(tmp_path: Path, name: str, codec: str) -> None:
    source = open_source(str(write_video(tmp_path / name, 10, 12.5, codec)), "rgb")
    assert (source.live, source.fps, source.length) == (False, 12.5, 10)
    frames = read_all(source)
    assert [f.index for f in frames] == list(range(10))
    assert [f.time_s for f in frames] == pytest.approx([i / 12.5 for i in range(10)], abs=1e-3)
    levels = [int(f.frame.mean()) for f in frames]
    assert levels == pytest.approx([20 * i for i in range(10)], abs=6)
    assert frames[0].frame.shape == (48, 64, 3)


def test_video_with_a_changing_frame_rate_keeps_its_timestamps(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs PyAV to write a video with a changing frame rate")
    times_ms = [0, 33, 70, 200, 233, 500]
    with av.open(str(tmp_path / "vfr.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(gray(40 * index), format="bgr24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames = read_all(open_source(str(tmp_path / "vfr.mp4"), "ir"))
    assert [round(f.time_s * 1000) for f in frames] == times_ms


def test_stream_without_timestamps_counts_frames(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs PyAV to write a bare H.264 stream")
    with av.open(str(tmp_path / "bare.h264"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray(20 * index), format="bgr24")))
        container.mux(stream.encode())
    source = open_source(str(tmp_path / "bare.h264"), "rgb")
    assert source.length is None
    times_s = [f.time_s for f in read_all(source)]
    assert times_s == pytest.approx([i / source.fps for i in range(6)])


def test_folder_is_sorted_as_people_count(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), gray(number))
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / "._frame1.png").write_bytes(b"macOS leaves these")
    source = open_source(str(tmp_path), "rgb", SourceOptions(fps=20.0))
    assert source.length == 3
    frames = read_all(source)
    assert [int(f.frame[0, 0, 0]) for f in frames] == [1, 2, 10]
    assert [f.time_s for f in frames] == [0.0, 1 / 20.0, 2 / 20.0]


def test_sort_naturally_compares_numbers_in_every_part() -> None:
    names = ["run10/a1", "run2/a10", "run2/a9", "run2/b"]
    assert [str(p) for p in sort_naturally([Path(n) for n in names])] == [
        "run2/a9",
        "run2/a10",
        "run2/b",
        "run10/a1",
    ]


def test_glob_takes_matching_images_also_in_subfolders(tmp_path: Path) -> None:
    for name in ("a/ir_1.png", "a/rgb_1.png", "b/ir_2.png", "b/ir_3.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(cv2.imencode(".png", gray(5))[1].tobytes())
    assert open_source(str(tmp_path / "a" / "ir_*.png"), "ir").length == 1
    assert open_source(str(tmp_path / "**" / "ir_*"), "ir").length == 2


def test_folder_whose_name_looks_like_a_glob_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run[1]"
    folder.mkdir()
    (folder / "0.png").write_bytes(cv2.imencode(".png", gray(5))[1].tobytes())
    assert open_source(str(folder), "ir").length == 1


def test_one_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.jpg"), gray(90))
    assert len(read_all(open_source(str(tmp_path / "one.jpg"), "rgb"))) == 1


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_infrared_keeps_its_values(tmp_path: Path, suffix: str) -> None:
    values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20
    cv2.imwrite(str(tmp_path / f"0{suffix}"), values)
    frame = read_all(open_source(str(tmp_path), "ir"))[0].frame
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame, values)


def test_infrared_keeps_its_channels_and_colour_is_always_bgr(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gray.png"), gray(7)[:, :, 0])
    assert read_all(open_source(str(tmp_path / "gray.png"), "ir"))[0].frame.shape == (48, 64)
    assert read_all(open_source(str(tmp_path / "gray.png"), "rgb"))[0].frame.shape == (48, 64, 3)


@pytest.mark.parametrize("role", ["ir", "rgb"])
def test_alpha_channel_is_dropped(tmp_path: Path, role: str) -> None:
    bgra = np.dstack([gray(30), np.full((48, 64), 128, np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), bgra)
    frame = read_all(open_source(str(tmp_path / "a.png"), "ir" if role == "ir" else "rgb"))[0].frame
    np.testing.assert_array_equal(frame, gray(30))


def _bad_inputs(folder: Path) -> dict[str, str]:
    """Name to the spec of something that cannot be used."""
    (folder / "empty").mkdir()
    (folder / "zero.png").touch()
    (folder / "zero.mp4").touch()
    (folder / "text.mp4").write_text("no video\n" * 20)
    (folder / "text.png").write_text("no image\n" * 20)
    whole = cv2.imencode(".jpg", smooth_noise())[1].tobytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(folder / "float.tiff"), np.zeros((48, 64), np.float32))
    cv2.imwrite(str(folder / "tiny.png"), np.zeros((8, 8), np.uint8))
    names = ["missing", "missing.mp4", "missing.png", "missing*.png", "empty", "zero.png", "zero.mp4"]
    names += ["text.mp4", "text.png", "cut.jpg", "float.tiff", "tiny.png"]
    return {name: str(folder / name) for name in names}


def smooth_noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "does not exist"),
        ("missing.mp4", "does not exist"),
        ("missing.png", "does not exist"),
        ("missing*.png", "no images in glob"),
        ("empty", "no images in folder"),
        ("zero.png", "0 bytes"),
        ("zero.mp4", "0 bytes"),
        ("text.mp4", "as a video"),
        ("text.png", "as an image"),
        ("cut.jpg", "incomplete"),
        ("float.tiff", "dtype float32"),
        ("tiny.png", "8x8"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, name: str, says: str) -> None:
    spec = _bad_inputs(tmp_path)[name]
    with pytest.raises(InputError, match=says) as error:
        open_source(spec, "ir")
    assert name in str(error.value)


def test_image_that_is_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), gray(9))
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    source = open_source(str(tmp_path), "ir")
    assert source.read() is not None
    with pytest.raises(InputError, match=r"1\.png"):
        source.read()


def test_frame_rate_must_be_positive(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), gray(9))
    with pytest.raises(InputError, match="frame rate"):
        open_source(str(tmp_path), "ir", SourceOptions(fps=0.0))
