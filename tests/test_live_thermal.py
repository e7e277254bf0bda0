"""`vr-live` on what thermal cameras send: from the options to the picture, the report and the JSON lines."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.live_command import vr_live
from tests.live_models import write_theta_model
from tests.thermal_scenes import as_jpeg
from vr.runtime.errors import InputError
from vr.runtime.live import run_live
from vr.runtime.live_options import DEFAULTS, LiveOptions, with_values
from vr.runtime.pairs import read_pairs
from vr.runtime.preprocess import to_gray
from vr.runtime.sim import Simulator
from vr.runtime.thermal import ThermalOptions
from vr.runtime.thermal.palettes import in_colour

HW = (120, 160)
COUNT = 4
HOT_XY = (40, 90)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scene as `grey`, `jet` and `raw` infrared, and `rgb`."""
    root, scene = tmp_path_factory.mktemp("thermal"), Simulator(5, HW, HW)
    for name in ("grey", "jet", "raw", "rgb"):
        (root / name).mkdir()
    for index in range(COUNT):
        ir, rgb = scene.frames(index)
        raw = ir.astype(np.uint16) * 8 + 29000
        raw[HOT_XY[1] - 2 : HOT_XY[1] + 3, HOT_XY[0] - 2 : HOT_XY[0] + 3] = 31315
        shown = {"grey": ir, "jet": as_jpeg(in_colour(ir, "jet")), "raw": raw, "rgb": rgb}
        for name, frame in shown.items():
            cv2.imwrite(str(root / name / f"{index}.png"), frame)
    return root


def run(folders: Path, tmp_path: Path, ir: str, *options: object) -> tuple[str, list[dict], list[NDArray[np.uint8]]]:
    """Stdout, the JSON lines and the pictures of `vr-live` with a model that answers the identity."""
    model = write_theta_model(tmp_path / "model.onnx")
    arguments = ("--ir", folders / ir, "--rgb", folders / "rgb", "--model", model, "--no-window", *options)
    done = vr_live(*arguments, "--record", tmp_path / "png", "--transforms", tmp_path / "out.jsonl")
    assert done.code == 0, done.err
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    pictures = [cv2.imread(str(path)) for path in sorted((tmp_path / "png").iterdir())]
    return done.out, records, pictures  # type: ignore[return-value]


def test_a_coloured_camera_gives_the_picture_of_a_grey_one(folders: Path, tmp_path: Path) -> None:
    out, records, pictures = run(folders, tmp_path, "jet", "--alpha", 1)
    assert "infrared" in out and "palette jet, recognised" in out
    assert [record["hot_spot"] for record in records] == [None] * COUNT
    for index, picture in enumerate(pictures):
        grey = cv2.imread(str(folders / "grey" / f"{index}.png"), cv2.IMREAD_GRAYSCALE).astype(int)  # type: ignore[union-attr]
        below = slice(40, -20)
        assert np.ptp(picture[below].astype(int), axis=2).max() == 0, "grey again"
        assert np.abs(picture[below, :, 0] - grey[below]).mean() < 8.0


def test_hot_spot_is_in_the_lines_and_on_the_picture(folders: Path, tmp_path: Path) -> None:
    _, records, pictures = run(folders, tmp_path, "raw", "--ir-celsius", "tlinear", "--palette", "inferno")
    for record, picture in zip(records, pictures, strict=True):
        spot = record["hot_spot"]
        assert spot["celsius"] == pytest.approx(40.0)
        assert abs(spot["x_ir"] - HOT_XY[0]) <= 2 and abs(spot["y_ir"] - HOT_XY[1]) <= 2
        assert (picture[spot["y_ir"], spot["x_ir"]] == 255).all(), "the middle of the cross"
        assert np.ptp(picture[50:80].astype(int), axis=2).mean() > 20, "in colours"


def test_what_the_network_sees_has_no_display_colours(folders: Path, tmp_path: Path) -> None:
    matrices: list[list[object]] = []
    for palette in ("none", "jet"):
        lines = tmp_path / f"{palette}.jsonl"
        ir, rgb = str(folders / "grey"), str(folders / "rgb")
        run_live(LiveOptions(ir, rgb, window=False, palette=palette, transforms=lines, threads=1))
        records = [json.loads(line) for line in lines.read_text().splitlines()]
        matrices.append([(record["state"], record["confidence"], record["matrix_rgb_to_ir"]) for record in records])
    assert matrices[0] == matrices[1] and matrices[0][0][0] != "refused"  # type: ignore[index]


def test_polarity_turns_the_picture_over(folders: Path, tmp_path: Path) -> None:
    _, _, pictures = run(folders, tmp_path, "grey", "--alpha", 1, "--ir-polarity", "black-hot")
    grey = cv2.imread(str(folders / "grey" / "0.png"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(to_gray(pictures[0])[40:-20], 255 - grey[40:-20])  # type: ignore[index]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"ir_celsius": "warm"}, "expected tlinear, tlinear-low or SCALE,OFFSET"),
        ({"ir_celsius": "tlinear"}, "add --ir-16bit"),
        ({"ir_palette": "purple"}, "unknown --ir-palette 'purple'; expected one of auto, none"),
        ({"palette": "purple"}, "unknown --palette 'purple'; expected one of none, white-hot"),
        ({"ir_gain": "log"}, "expected one of percentile, plateau"),
        ({"ir_polarity": "auto"}, "expected one of white-hot, black-hot"),
    ],
)
def test_what_cannot_be_is_said_before_any_camera_is_opened(values: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        with_values(DEFAULTS, {"ir": "1", "rgb": "0", **values}).check()


def test_temperatures_of_8_bit_frames_are_one_line_of_error(folders: Path) -> None:
    done = vr_live("--ir", folders / "grey", "--rgb", folders / "rgb", "--no-window", "--ir-celsius", "tlinear")
    assert done.code == 2 and "these have 8 bit" in done.err and len(done.err.strip().splitlines()) == 1


def test_options_reach_a_pair_of_a_file(tmp_path: Path) -> None:
    toml = tmp_path / "pairs.toml"
    toml.write_text(
        'ir_gain = "plateau"\n[[pair]]\nir = "raw"\nrgb = "colour"\nir_celsius = "tlinear"\npalette = "hot"\n'
    )
    (pair,) = read_pairs(toml, DEFAULTS)
    assert pair.thermal == ThermalOptions(ir_gain="plateau", ir_celsius="tlinear") and pair.palette == "hot"
