"""Metadata survive the round trip, and damaged ones are refused with a remedy."""

from dataclasses import replace

import pytest

from vr.runtime.contract import ModelInfo, output_names, parse_size
from vr.runtime.errors import ModelError

INFO = ModelInfo(
    graph="overlay",
    kind="affine",
    network="match",
    mode="gray",
    size_hw=(192, 256),
    dynamic=True,
    size_multiple=16,
    precision="fp16",
    has_confidence=True,
    has_information=True,
    training_run="night-2026-01-02-7",
    package_version="0.1.0",
)


def test_metadata_round_trip() -> None:
    metadata = INFO.to_metadata()
    assert all(key.startswith("vr.") for key in metadata)
    assert ModelInfo.from_metadata(metadata, "m.onnx") == INFO


def test_foreign_file_is_named() -> None:
    with pytest.raises(ModelError, match=r"m\.onnx carries no vr\.\* metadata"):
        ModelInfo.from_metadata({"author": "someone"}, "m.onnx")


def test_newer_schema_says_what_this_package_reads() -> None:
    with pytest.raises(ModelError, match="schema 99; this package reads 1"):
        ModelInfo.from_metadata(INFO.to_metadata() | {"vr.schema": "99"}, "m.onnx")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vr.graph", "both"),
        ("vr.kind", "projective"),
        ("vr.size_hw", "192"),
        ("vr.size_hw", "0x256"),
        ("vr.size_multiple", "many"),
        ("vr.precision", "int4"),
    ],
)
def test_damaged_value_is_refused(key: str, value: str) -> None:
    with pytest.raises(ModelError, match="damaged"):
        ModelInfo.from_metadata(INFO.to_metadata() | {key: value}, "m.onnx")


def test_file_from_before_there_was_information_has_none() -> None:
    metadata = INFO.to_metadata()
    del metadata["vr.has_information"]
    assert not ModelInfo.from_metadata(metadata, "m.onnx").has_information


@pytest.mark.parametrize("key", sorted(set(INFO.to_metadata()) - {"vr.schema", "vr.has_information"}))
def test_missing_key_is_refused(key: str) -> None:
    metadata = INFO.to_metadata()
    del metadata[key]
    with pytest.raises(ModelError, match="damaged"):
        ModelInfo.from_metadata(metadata, "m.onnx")


def test_output_names_per_graph_and_kind() -> None:
    assert output_names("estimate", "dense", has_confidence=False) == ("moved", "flow")
    assert output_names("estimate", "affine", has_confidence=True) == ("moved", "flow", "theta", "confidence")
    assert output_names("estimate", "homography", has_confidence=True) == ("moved", "flow", "theta", "confidence")
    overlay = ("overlay", "moved", "flow", "theta", "confidence", "information", "content")
    assert output_names("overlay", "affine", has_confidence=True, has_information=True) == overlay
    assert output_names("overlay", "dense", has_confidence=False) == ("overlay", "moved", "flow", "content")


def test_transform_of_an_overlay_graph_says_whether_there_was_anything_to_see() -> None:
    assert replace(INFO, graph="overlay").transform_names == ("theta", "confidence", "information", "content")


def test_information_is_the_last_output_and_belongs_to_the_transform() -> None:
    info = replace(INFO, graph="estimate")
    assert info.output_names == ("moved", "flow", "theta", "confidence", "information")
    assert info.transform_names == ("theta", "confidence", "information")
    assert replace(info, kind="homography", has_information=False).transform_names == ("theta", "confidence")
    assert replace(info, kind="dense", has_confidence=False, has_information=False).transform_names == ("flow",)


def test_size_is_height_then_width() -> None:
    assert parse_size("240x320") == (240, 320)


@pytest.mark.parametrize("text", ["240", "240x", "x320", "-240x320", "240x320x3", "0x320", "240*320"])
def test_malformed_size_gives_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="240x320"):
        parse_size(text)
