"""Hostile input: it ends in a VrError or works, in time, without large memory, files written or code executed."""

import struct
import tomllib
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.fuzz import evil_models
from benchmarks.fuzz.kinds import KINDS
from benchmarks.fuzz.running import FINE, verdicts
from tests.onnx_models import write_affine
from vr.runtime.contract import ModelInfo, parse_size
from vr.runtime.errors import InputError, ModelError, VrError
from vr.runtime.live_options import LiveOptions
from vr.runtime.pairs import read_pairs
from vr.runtime.session import Session
from vr.runtime.sources.files import read_image
from vr.runtime.sources.image_bytes import claimed_size
from vr.runtime.sources.sim import parse_sim

QUICK = ("archive", "calibration", "image", "pairs", "sim", "video")


def test_hundreds_of_generated_inputs_are_refused_or_work() -> None:
    jobs = [(kind, seed) for kind in QUICK for seed in range(50)]
    found = list(verdicts(jobs))
    assert len(found) == len(jobs)
    assert [verdict for verdict in found if verdict.outcome not in FINE] == []
    assert {verdict.kind for verdict in found if verdict.outcome == "refused"} == set(QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(QUICK)))
def test_generated_models_checkpoints_and_options_are_refused_or_work(kind: str) -> None:
    found = list(verdicts([(kind, seed) for seed in range(60)]))
    assert [verdict for verdict in found if verdict.outcome not in FINE] == []


def test_a_picture_that_claims_100000_pixels_a_side_is_refused_from_its_header(tmp_path: Path) -> None:
    size = struct.pack(">II", 100_000, 100_000)
    header = b"IHDR" + size + bytes([8, 2, 0, 0, 0])
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)))
    with pytest.raises(InputError, match=r"huge\.png claims 100000x100000 px; expected sides of at most 16384"):
        read_image(path, "rgb")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".bmp", ".webp"])
@given(h=st.integers(16, 70), w=st.integers(16, 70))
def test_the_claimed_size_is_that_of_the_decoded_picture(suffix: str, h: int, w: int) -> None:
    content = cv2.imencode(suffix, np.zeros((h, w, 3), np.uint8))[1].tobytes()
    assert claimed_size(content) == (h, w)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"II*\0", b"MM\0+", b"RIFF", b"BM"]),
)
@example(content=b"\0\x08\0\0" + b"\xff" * 8, magic=b"MM\0+")  # a BigTIFF whose directory lies beyond any file
def test_any_bytes_have_a_size_or_none(content: bytes, magic: bytes) -> None:
    size_hw = claimed_size(magic + content)
    assert size_hw is None or min(size_hw) >= 0


@pytest.mark.parametrize("number", range(5))
def test_a_model_with_weights_in_other_files_is_refused(tmp_path: Path, number: int) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(evil_models.evil()[number])
    with pytest.raises(ModelError, match="keeps weights in other files"):
        Session(path, "cpu", 1)


def test_models_with_loops_and_functions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    messages: list[str] = []
    for content in evil_models.evil():
        path.write_bytes(content)
        try:
            Session(path, "cpu", 1)
        except ModelError as error:
            messages.append(str(error))
    assert sum("has graphs in its graph" in message for message in messages) == 2
    assert sum("defines functions" in message for message in messages) == 1
    assert Session(write_affine(path), "cpu", 1).info.kind == "affine"


@given(st.text(alphabet="sedizrfpx0123456789=,²٣-", max_size=40) | st.text(max_size=20))
def test_any_sim_text_is_a_scene_or_an_input_error(text: str) -> None:
    try:
        spec = parse_sim("sim:" + text)
    except InputError:
        return
    assert spec.seed >= 0
    assert all(64 <= side <= 4096 for side in (*spec.rgb_hw, *spec.ir_hw))


@given(st.integers(0, 10**18 - 1), st.integers(64, 4096), st.integers(64, 4096))
def test_a_sim_text_means_what_it_says(seed: int, h: int, w: int) -> None:
    spec = parse_sim(f"sim:seed={seed},size={w}x{h}")
    assert (spec.seed, spec.rgb_hw, spec.ir_hw) == (seed, (h, w), (h, w))


@given(st.text(max_size=30) | st.from_regex(r"[0-9x²]{1,12}"))
def test_any_size_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        h, w = parse_size(text)
    except ValueError:
        return
    assert 0 < min(h, w) <= max(h, w) <= 99_999


@given(
    st.dictionaries(st.sampled_from([*ModelInfo("estimate", "affine", "n", "gray", (8, 8)).to_metadata()]), st.text())
)
def test_any_metadata_are_a_model_or_a_model_error(changes: dict[str, str]) -> None:
    metadata = ModelInfo("estimate", "affine", "n", "gray", (8, 8)).to_metadata() | changes
    try:
        info = ModelInfo.from_metadata(metadata, "model.onnx")
    except ModelError:
        return
    assert info.size_multiple >= 1
    assert 0 < min(info.size_hw) <= max(info.size_hw) <= 4096


@pytest.mark.parametrize("text", ["[[pair]]\nx = " + "[" * 20_000, "alpha = " + "9" * 9999, '[[pair]]\nir = "\\u0000"'])
def test_toml_that_overflows_a_parser_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.toml"
    path.write_text(text)
    with pytest.raises(InputError):
        read_pairs(path, LiveOptions("", ""))


@given(st.text(max_size=80))
def test_any_toml_with_a_pair_is_pairs_or_an_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(f'[[pair]]\nir = "sim:"\nrgb = "sim:"\n{text}'.encode(errors="ignore"))
    try:
        pairs = read_pairs(path, LiveOptions("", ""))
    except VrError:
        return
    assert len(pairs) == len(tomllib.loads(path.read_text(encoding="utf-8"))["pair"])
