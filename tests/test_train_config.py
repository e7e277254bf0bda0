"""Settings of a run: bounds, unknown keys, what may change on resume."""

from typing import Any

import pytest

from vr.runtime.errors import InputError
from vr.runtime.preprocess import MODES
from vr.train.config import MODE_SIMILARITY, SIMILARITIES, TrainConfig
from vr.train.losses import SIMILARITY


def test_settings_survive_the_checkpoint() -> None:
    config = TrainConfig(network="voxelmorph", size_hw=(64, 96), lr=1e-3, augment=False)
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert config.to_dict()["size_hw"] == [64, 96]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lrr": 1.0}, r"unknown training setting\(s\) lrr"),
        ({"network": "unet"}, "network 'unet' is unknown; expected one of affine, voxelmorph"),
        ({"mode": "edges"}, "mode 'edges' is unknown; expected one of gray, sobel"),
        ({"similarity": "ssim"}, "expected one of ngf, ncc, mi, mind, mse, dice"),
        ({"integration_steps": -1}, "integration_steps -1 is out of bounds; expected 0 to"),
        ({"epochs": 0}, "epochs 0 is out of bounds; expected 1 to"),
        ({"lr": 2.0}, "lr 2.0 is out of bounds"),
        ({"lr": float("nan")}, "lr nan is out of bounds"),
        ({"batch": -1}, "batch -1 is out of bounds"),
        ({"schedule": "linear"}, "schedule 'linear' is unknown; expected one of constant, cosine, step"),
        ({"stop_on": "val_folding"}, "expected one of val_loss, val_error_px"),
        ({"stop_on": "val_error_px", "augment": False}, "stop_on val_error_px needs warps that are known"),
        ({"ema": 1.0}, "ema 1.0 is out of bounds; expected 0.0 to 0.99999"),
        ({"clip": float("nan")}, "clip nan is out of bounds"),
        ({"warmup": -1}, "warmup -1 is out of bounds"),
        ({"patience": -1}, "patience -1 is out of bounds"),
        ({"save_every": -1}, "save_every -1 is out of bounds"),
        ({"val_share": 0.9}, "val_share 0.9 is out of bounds"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainConfig.from_dict(values)


def test_settings_of_an_older_version_keep_their_meaning() -> None:
    """Those that it did not know yet get values that change nothing: a velocity is not integrated."""
    old = {name: value for name, value in TrainConfig("voxelmorph").to_dict().items() if name != "integration_steps"}
    assert TrainConfig.from_dict(old).network_arguments == {"size_hw": (240, 320), "integration_steps": 0}
    assert TrainConfig("affine").network_arguments == {"size_hw": (240, 320)}


def test_every_mode_has_a_similarity_of_its_own() -> None:
    assert set(MODE_SIMILARITY) == set(MODES)
    assert set(MODE_SIMILARITY.values()) <= set(SIMILARITIES) == set(SIMILARITY)


def test_only_what_changes_no_step_may_change_on_resume() -> None:
    stored = TrainConfig(lr=1e-3, epochs=5)
    assert stored.resumed_with({"epochs": 9, "workers": 2, "lr": 1e-3}).epochs == 9
    assert stored.resumed_with({"patience": 3, "save_every": 10}).patience == 3
    with pytest.raises(InputError, match=r"batch is 8, not 4; lr is 0\.001, not 0\.01; leave them out"):
        stored.resumed_with({"lr": 1e-2, "batch": 4})
