"""What may be changed while a pair runs: checked as the options are, all or nothing, and told to whoever listens."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vr.runtime.controls import SETTINGS, Controls, Settings, as_json
from vr.runtime.errors import InputError
from vr.runtime.live_options import LiveOptions

AFFINE = [1.0, 0.0, 0.1, 0.0, 1.0, -0.2]


def test_they_begin_as_the_options_say() -> None:
    options = LiveOptions("0", "1", model=Path("m.onnx"), alpha=0.7, view="split", split=0.2, rig="moving")
    settings = Settings.of(options)
    assert (settings.model, settings.alpha, settings.style.view, settings.style.split) == ("m.onnx", 0.7, "split", 0.2)
    assert settings.rig == "moving" and settings.follow == "estimate"
    assert set(as_json(settings)) == set(SETTINGS)


def test_a_change_acts_at_once_and_is_told() -> None:
    controls, told = Controls(models=("small",)), []
    controls.listen(told.append)
    controls.change({"alpha": 1, "view": "rgb-edges", "model": "small"})
    assert (controls.settings.alpha, controls.settings.view, controls.settings.model) == (1.0, "rgb-edges", "small")
    assert told == [controls.settings]


@pytest.mark.parametrize(
    "values",
    [
        {"alpha": 1.5},
        {"alpha": "0.5"},
        {"alpha": True},
        {"alpha": float("nan")},
        {"view": "nothing"},
        {"view": ["overlay"]},
        {"palette": 3},
        {"ir_above": 2.5},
        {"ir_above": 300},
        {"model": "../../etc/passwd"},
        {"follow": "hand"},
        {"follow": None},
        {"mode": "other"},
        {"theta": [1, 0, 0, 0, 1]},
        {"theta": [1, 0, 0, 0, 1, float("inf")]},
        {"theta": [1, 2, 0, 2, 4, 0]},
        {"theta": "100010"},
        {"theta": [1, 0, 0, 0, 1, True]},
        {"record": "/tmp/x.mp4"},
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(values: dict[str, Any]) -> None:
    controls = Controls()
    with pytest.raises(InputError):
        controls.change({"alpha": 0.9} | values)
    assert controls.settings == Settings()


def test_a_transform_by_hand() -> None:
    controls = Controls()
    controls.change({"theta": AFFINE, "follow": "hand"})
    assert controls.settings.theta == tuple(AFFINE)
    controls.change({"theta": [*np.diag([2.0, 2.0, 2.0]).ravel()]})
    assert controls.settings.theta == tuple(np.eye(3).ravel())
    controls.change({"theta": None, "follow": "estimate"})
    assert controls.settings.theta is None
