"""The damping is chosen by what it does on pairs with known transforms."""

import math

import torch

from vr.models.match import FINE, MatchNet
from vr.train.match_data import MatchDataset, Pool, scene_canvases
from vr.train.match_tune import DAMPING_FACTORS, tune_damping


def test_tuning_never_makes_it_worse_and_sets_what_it_reports() -> None:
    torch.manual_seed(0)
    net = MatchNet((96, 128), width=8, deep=16, rounds=(2, 2, 1))
    data = MatchDataset(Pool([], scene_canvases(2, 0)), (96, 128), 4, 0, {"scenes": 1.0})
    before = float(net.log_damping[FINE].detach())
    figures = tune_damping(net, data, batch=2)
    for level in (0, 1, 2):
        assert figures[f"tuned_px_{level}"] <= figures[f"untuned_px_{level}"]
    factor = math.exp(float(net.log_damping[FINE].detach()) - before)
    assert min(abs(factor - known) for known in DAMPING_FACTORS) < 1e-3
