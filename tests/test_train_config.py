"""Settings of a run: bounds, unknown keys, what may change on resume."""

from typing import Any

import pytest

from vr.runtime.errors import InputError
from vr.train.config import TrainConfig


def test_settings_survive_the_checkpoint() -> None:
    config = TrainConfig(network="voxelmorph", size_hw=(64, 96), lr=1e-3, augment=False)
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert config.to_dict()["size_hw"] == [64, 96]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lrr": 1.0}, r"unknown training setting\(s\) lrr"),
        ({"network": "unet"}, "network 'unet' is unknown; expected one of affine, voxelmorph"),
        ({"mode": "sobel"}, "mode 'sobel' is unknown; expected one of gray, mask"),
        ({"similarity": "mi"}, "expected one of ngf, ncc, mse"),
        ({"epochs": 0}, "epochs 0 is out of bounds; expected 1 to"),
        ({"lr": 2.0}, "lr 2.0 is out of bounds"),
        ({"lr": float("nan")}, "lr nan is out of bounds"),
        ({"batch": -1}, "batch -1 is out of bounds"),
        ({"val_share": 0.9}, "val_share 0.9 is out of bounds"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainConfig.from_dict(values)


def test_only_epochs_and_workers_may_change_on_resume() -> None:
    stored = TrainConfig(lr=1e-3, epochs=5)
    assert stored.resumed_with({"epochs": 9, "workers": 2, "lr": 1e-3}).epochs == 9
    with pytest.raises(InputError, match=r"batch is 8, not 4; lr is 0\.001, not 0\.01; leave them out"):
        stored.resumed_with({"lr": 1e-2, "batch": 4})
