"""`--rig-transform`: what it takes, how files of options name it, and what a run makes of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.live_command import vr_live
from tests.onnx_models import affine_info, write_affine
from tests.rig_footage import SIZE_HW, rig, write_rig
from vr.runtime.config import read_config
from vr.runtime.errors import InputError
from vr.runtime.geometry import grid_error_px, theta_to_matrix
from vr.runtime.rig_transform import rig_transform, theta_text


def test_numbers_are_an_affine_or_a_homography() -> None:
    np.testing.assert_array_equal(
        rig_transform("0.92, -0.05,0.14,0.09,0.91,-9e-2").theta(), [[0.92, -0.05, 0.14], [0.09, 0.91, -0.09]]
    )
    assert rig_transform("2,0,0,0,2,0,0,0,2").theta().tolist() == np.eye(3).tolist()
    theta = rig(40.0, 0.6)
    np.testing.assert_allclose(rig_transform(theta_text(theta)).theta(), theta, atol=5e-7)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2,3", "six numbers"),
        ("0,0,0,0,0,0", "flattens"),
        ("nan,0,0,0,1,0", "not finite"),
        ("", "expected six numbers"),
        ("1,0,zero,0,1,0", "expected six numbers"),
        ("rig.pickle", "or a file that ends in .npy"),
        ("gone.yaml", "there is no file gone.yaml"),
    ],
)
def test_what_it_is_not_is_said(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        rig_transform(text)


def test_a_file_is_found_from_the_folder_of_the_options(tmp_path: Path) -> None:
    toml = tmp_path / "rig.toml"
    for written, wanted in (("1,0,0,0,1,0", "1,0,0,0,1,0"), ("stereo.yaml", str(tmp_path / "stereo.yaml"))):
        toml.write_text(f'rig_transform = "{written}"\n')
        assert read_config(toml).values == {"rig_transform": wanted}


def states(folder: Path, *arguments: object) -> list[dict[str, object]]:
    out = folder / "t.jsonl"
    ended = vr_live(
        *("--ir", folder / "ir", "--rgb", folder / "rgb", "--no-window", "--transforms", out, "--overwrite"), *arguments
    )
    assert (ended.code, ended.err) == (0, "")
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_run_finds_a_far_rig_at_once(tmp_path: Path) -> None:
    truth = rig(150.0, 1.2)
    write_rig(tmp_path, truth, 203, 6)
    without = states(tmp_path, "--threads", 1)
    assert {line["state"] for line in without} == {"refused"}
    found = states(tmp_path, "--threads", 1, "--rig-transform", theta_text(rig(146.0, 1.12, (0.0, 0.0))))
    assert {line["state"] for line in found} == {"estimated"}
    error_px = grid_error_px(np.array(found[0]["matrix_rgb_to_ir"]), theta_to_matrix(truth, SIZE_HW, SIZE_HW), SIZE_HW)
    assert error_px < 3.0


def test_a_wrong_text_ends_before_anything_is_opened() -> None:
    ended = vr_live("--ir", "sim:", "--rgb", "sim:", "--rig-transform", "1,2")
    assert (ended.code, ended.out) == (2, "") and "error: a transform has six numbers" in ended.err


def test_an_overlay_graph_looks_once_and_says_so(tmp_path: Path) -> None:
    model = write_affine(tmp_path / "overlay.onnx", info=affine_info(graph="overlay"))
    ended = vr_live("--ir", "sim:", "--rgb", "sim:", "--model", model, "--rig-transform", "1,0,0,0,1,0", "--frames", 1)
    assert ended.code == 2 and "--rig-transform needs an estimate graph" in ended.err
