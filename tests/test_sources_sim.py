"""The `sim:` sources: one scene for both cameras, and the text that describes it."""

import numpy as np
import pytest

from vr.runtime.errors import InputError
from vr.runtime.sim import Simulator
from vr.runtime.sources import open_pair, open_source
from vr.runtime.sources.sim import SimSpec, parse_sim


def test_both_cameras_show_the_simulator_and_its_truth() -> None:
    spec = "sim:seed=3,size=128x96,ir_size=80x64"
    simulator = Simulator(seed=3, rgb_hw=(96, 128), ir_hw=(64, 80))
    with open_pair(spec, spec) as pair:
        for index in range(3):
            ir, rgb = pair.ir.read(), pair.rgb.read()
            assert ir is not None and rgb is not None and pair.truth is not None
            expected_ir, expected_rgb = simulator.frames(index)
            np.testing.assert_array_equal(ir.frame, expected_ir)
            np.testing.assert_array_equal(rgb.frame, expected_rgb)
            assert ir.time_s == rgb.time_s == simulator.time_s(index)
            np.testing.assert_array_equal(pair.truth(index), simulator.matrix_rgb_to_ir(index))


def test_one_camera_may_run_ahead_of_the_other() -> None:
    with open_pair("sim:size=96x64", "sim:size=96x64") as pair:
        ahead = [pair.rgb.read() for _ in range(6)]
        behind = [pair.ir.read() for _ in range(6)]
    simulator = Simulator(rgb_hw=(64, 96), ir_hw=(64, 96))
    for index, (rgb, ir) in enumerate(zip(ahead, behind, strict=True)):
        assert rgb is not None and ir is not None
        np.testing.assert_array_equal(ir.frame, simulator.frames(index)[0])
        np.testing.assert_array_equal(rgb.frame, simulator.frames(index)[1])


def test_a_single_sim_source_opens_on_its_own() -> None:
    source = open_source("sim:size=96x64", "ir")
    stamped = source.read()
    assert stamped is not None and stamped.frame.shape == (64, 96)
    assert source.length is None and not source.live


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sim:", SimSpec()),
        ("sim:seed=7", SimSpec(seed=7)),
        ("sim:size=320x240", SimSpec(rgb_hw=(240, 320), ir_hw=(240, 320))),
        ("sim:ir_size=160x120,size=320x240", SimSpec(rgb_hw=(240, 320), ir_hw=(120, 160))),
    ],
)
def test_sim_text(text: str, expected: SimSpec) -> None:
    assert parse_sim(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sim:speed=3", "speed=3"),
        ("sim:seed", "'seed'"),
        ("sim:seed=-1", "whole number"),
        ("sim:seed=1,seed=2", "seed=2"),
        ("sim:size=640", "WIDTHxHEIGHT"),
        ("sim:size=8x8", "64 to 4096"),
    ],
)
def test_sim_text_that_is_wrong_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_sim(text)


@pytest.mark.parametrize(("ir", "rgb"), [("sim:", "sim:seed=1"), ("sim:", "folder"), ("0", "sim:")])
def test_two_different_scenes_are_refused(ir: str, rgb: str) -> None:
    with pytest.raises(InputError, match="different scenes"), open_pair(ir, rgb):
        pass
