"""Hold, by hand, and another model while a pair runs: what is shown, in which state, and what is said."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline_parts import HW, MATRIX, ShiftAligner, make_pair
from vr.runtime.aligner import Aligner
from vr.runtime.alignment import Alignment
from vr.runtime.controls import Controls, Settings
from vr.runtime.errors import ModelError
from vr.runtime.estimation import EveryNth, InBackground
from vr.runtime.geometry import theta_to_matrix
from vr.runtime.pairing import Pair
from vr.runtime.rigs import RIGS
from vr.runtime.sim import Simulator
from vr.runtime.steering import Steered
from vr.runtime.switching import SwitchingAligner

HAND = (0.9, 0.1, 0.05, -0.1, 0.9, 0.0)


def answer(steered: Steered, pair: Pair) -> Alignment:
    asked = steered.ask(pair)
    alignment = steered.answer(asked)
    steered.drawn(asked)
    return alignment


def test_hold_keeps_the_last_transform_and_asks_nobody() -> None:
    aligner, controls = ShiftAligner(), Controls()
    steered = Steered(EveryNth(aligner, 1, RIGS["fixed"]), controls)
    assert answer(steered, make_pair(0)).state == "estimated"
    controls.change({"follow": "hold"})
    for index in (1, 30_000):
        one = answer(steered, make_pair(index))
        assert one.state == "held" and one.matrix_rgb_to_ir is not None
        np.testing.assert_allclose(one.matrix_rgb_to_ir, MATRIX)
    assert len(aligner.asked) == 1
    notice = steered.notice
    assert notice is not None and notice.what == "transform held"
    controls.change({"follow": "estimate"})
    assert answer(steered, make_pair(30_001)).state == "estimated"
    assert steered.notice is None and len(aligner.asked) == 2


def test_hold_before_anything_was_found_shows_nothing_as_aligned() -> None:
    controls = Controls()
    steered = Steered(EveryNth(ShiftAligner(), 1, RIGS["fixed"]), controls)
    controls.change({"follow": "hold"})
    assert answer(steered, make_pair(0)).state == "refused"


def test_by_hand_is_shown_as_held_and_never_as_estimated() -> None:
    aligner, controls = ShiftAligner(), Controls()
    steered = Steered(EveryNth(aligner, 1, RIGS["fixed"]), controls)
    controls.change({"follow": "hand", "theta": HAND})
    one = answer(steered, make_pair(0, rgb_hw=(96, 128)))
    assert one.state == "held" and one.confidence is None and one.matrix_rgb_to_ir is not None
    np.testing.assert_allclose(one.matrix_rgb_to_ir, theta_to_matrix(np.reshape(HAND, (2, 3)), (96, 128), HW))
    notice = steered.notice
    assert notice is not None and notice.what == "aligned by hand" and not aligner.asked
    controls.change({"follow": "hold"})
    held = answer(steered, make_pair(1, rgb_hw=(96, 128)))
    assert held.matrix_rgb_to_ir is not None
    np.testing.assert_allclose(held.matrix_rgb_to_ir, one.matrix_rgb_to_ir)


def test_estimates_in_the_background_rest_while_held() -> None:
    aligner, controls = ShiftAligner(), Controls()
    steered = Steered(InBackground(aligner, 1, RIGS["fixed"], waits=True), controls)
    assert answer(steered, make_pair(0)).state == "estimated"
    controls.change({"follow": "hold"})
    for index in range(1, 20):
        answer(steered, make_pair(index))
    steered.close()
    assert len(aligner.asked) <= 2


class Loads:
    """Loads real aligners, when it is let; fails for `broken`."""

    def __init__(self) -> None:
        self.gate, self.asked = threading.Event(), []

    def __call__(self, settings: Settings) -> Aligner:
        self.asked.append(settings.model)
        assert self.gate.wait(20)
        if settings.model == "broken":
            raise ModelError("broken is no model")
        return Aligner.load(settings.model, "cpu", 1)


@pytest.fixture(scope="module")
def small() -> Aligner:
    return Aligner.load("small", "cpu", 1)


def wait_until(is_true: object, timeout_s: float = 20.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not is_true() and time.monotonic() < end_s:  # type: ignore[operator]
        time.sleep(0.01)
    assert is_true()  # type: ignore[operator]


def test_another_model_is_loaded_beside_the_one_that_works(small: Aligner) -> None:
    controls, loads = Controls(Settings(model="small"), ("clean",)), Loads()
    aligner = SwitchingAligner(small, controls, loads, time.monotonic)
    ir, rgb = Simulator(3, (120, 160), (120, 160)).frames(0)
    controls.change({"model": "clean"})
    assert aligner.switching_to == "clean" and aligner.notice is not None
    assert aligner.notice.what == "loading clean"
    ahead = aligner.prepare(ir, rgb)
    aligner(ir, rgb, 0.0)
    assert aligner.current is small
    loads.gate.set()
    wait_until(lambda: aligner.switching_to is None)
    after = aligner.finish(ahead, 0.1)
    assert aligner.current is not small and after.state in ("estimated", "held", "refused")
    assert aligner.notice is None and loads.asked == ["clean"]


def test_a_model_that_cannot_be_loaded_leaves_everything_as_it_was(small: Aligner) -> None:
    controls, loads = Controls(Settings(model="small"), ("broken",)), Loads()
    aligner = SwitchingAligner(small, controls, loads, time.monotonic)
    loads.gate.set()
    controls.change({"model": "broken", "alpha": 0.9})
    wait_until(lambda: controls.settings.model == "small")
    assert controls.settings.alpha == 0.9
    notice = aligner.notice
    assert notice is not None and notice.what == "cannot load broken"
    ir, rgb = Simulator(3, (120, 160), (120, 160)).frames(0)
    aligner(ir, rgb, 0.0)
    assert aligner.current is small


def test_who_changes_their_mind_gets_the_last_choice(small: Aligner) -> None:
    controls, loads = Controls(Settings(model="small"), ("clean", "default")), Loads()
    aligner = SwitchingAligner(small, controls, loads, time.monotonic)
    controls.change({"model": "clean"})
    controls.change({"model": "default"})
    loads.gate.set()
    wait_until(lambda: aligner.switching_to is None)
    ir, rgb = Simulator(3, (120, 160), (120, 160)).frames(0)
    aligner(ir, rgb, 0.0)
    assert loads.asked == ["clean", "default"]
    assert Path(aligner.current.info.training_run or "").name.startswith("base")


def test_another_rig_prior_is_another_aligner(small: Aligner) -> None:
    controls, loads = Controls(Settings(model="small")), Loads()
    aligner = SwitchingAligner(small, controls, loads, time.monotonic)
    loads.gate.set()
    controls.change({"rig": "moving"})
    wait_until(lambda: aligner.switching_to is None)
    aligner(*Simulator(3, (120, 160), (120, 160)).frames(0), 0.0)
    assert aligner.current is not small and loads.asked == ["small"]
