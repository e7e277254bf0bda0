"""The Python in the pages about the library runs as it stands: each block alone, in a folder with two pictures."""

import re
from pathlib import Path

import cv2
import pytest

from tests.helpers import REPOSITORY
from vr.runtime.interchange import READABLE, WRITABLE
from vr.runtime.sim import Simulator

PAGES = ("library.md", "interchange.md")


def text_of(page: str) -> str:
    return (REPOSITORY / "docs" / page).read_text(encoding="utf-8")


BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE))
]


@pytest.fixture(scope="module")
def pictures() -> tuple[bytes, bytes]:
    ir, rgb = Simulator(0).frames(0)
    return cv2.imencode(".png", ir)[1].tobytes(), cv2.imencode(".png", rgb)[1].tobytes()


@pytest.mark.parametrize("block", BLOCKS)
def test_each_block_runs(
    block: str, pictures: tuple[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "SimpleITK" in block:
        pytest.importorskip("SimpleITK")
    for name, data in zip(("ir.png", "rgb.png"), pictures, strict=True):
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "block of the page", "exec"), {"__name__": "__main__"})


def test_the_pages_name_every_ending() -> None:
    assert all(f"`{suffix}`" in text_of("interchange.md") for suffix in {*READABLE, *WRITABLE})


def test_the_calibration_of_the_page_is_read(tmp_path: Path) -> None:
    from vr.runtime import load_transform

    (block,) = re.findall(r"```text\n(%YAML.*?)```", text_of("interchange.md"), re.DOTALL)
    (tmp_path / "stereo.yml").write_text(block)
    rig = load_transform(tmp_path / "stereo.yml")
    assert (rig.rgb_hw, rig.ir_hw) == ((1080, 1920), (512, 640))
    # Half as many pixels per angle, both looking straight ahead; a shift of 6 cm at 8 m.
    matrix = rig.matrix_rgb_to_ir((1080, 1920), (512, 640))
    assert matrix[0, 2] == pytest.approx(320 - 0.5 * 960 + 700 * 0.06 / 8.0)
    assert len(rig.warnings) == 1
