"""What a user may write for a model."""

from pathlib import Path

import pytest

from vr.runtime import Aligner
from vr.runtime.embedded import DEFAULT, EMBEDDED, embedded_path, model_path
from vr.runtime.errors import ModelError


def test_nothing_means_the_default() -> None:
    assert model_path(None) == embedded_path(DEFAULT)


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_name_means_an_embedded_model(name: str) -> None:
    assert Aligner.load(name, provider="cpu", threads=1).info.network == ("match-dense" if name == "dense" else "match")
    card = embedded_path(name).with_suffix(".md").read_text(encoding="utf-8")
    for heading in ("## Data", "## Recipe", "## Figures", "## Limits"):
        assert heading in card


def test_together_they_stay_small() -> None:
    assert sum(embedded_path(name).stat().st_size for name in EMBEDDED) < 20e6


def test_a_name_that_means_nothing_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="no model 'smal'; expected default, small, clean, dense"):
        model_path("smal")


def test_anything_else_is_a_file(tmp_path: Path) -> None:
    assert model_path("small.onnx") == Path("small.onnx")
    with pytest.raises(ModelError):
        Aligner.load(tmp_path / "tiny.onnx")
