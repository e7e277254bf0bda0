"""Sets the damping of the refinement after the training, on pairs that the encoder has not learned from.

In training most rounds start near the truth, where a firm hold on the start looks best. From where the coarse search
really ends it holds too firmly.
"""

import math

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vr.models import affine_fit
from vr.models.match import LEVELS, MatchNet
from vr.train.match_data import MatchDataset
from vr.train.match_loss import grid_error_px

DAMPING_FACTORS = (1.0, 0.1, 0.01)
# Failures of the coarse search must not drown what damping can change.
_LIMIT_PX = 10.0


def tune_damping(net: MatchNet, dataset: MatchDataset, batch: int) -> dict[str, float]:
    """Chooses each level's damping, one level after the other; returns the limited mean error after each."""
    figures: dict[str, float] = {}
    for level in LEVELS:
        learned = float(net.log_damping[level].detach())
        choices = [learned + math.log(factor) for factor in DAMPING_FACTORS]
        errors = [_mean_error_px(net, dataset, batch, level, choice) for choice in choices]
        best = min(range(len(choices)), key=errors.__getitem__)
        _set(net, level, choices[best])
        figures |= {f"tuned_px_{level}": errors[best], f"untuned_px_{level}": errors[0]}
    return figures


def _set(net: MatchNet, level: int, log_damping: float) -> None:
    with torch.no_grad():
        net.log_damping[level] = log_damping


def _mean_error_px(net: MatchNet, dataset: MatchDataset, batch: int, level: int, choice: float) -> float:
    _set(net, level, choice)
    device = next(net.parameters()).device
    net.eval()
    errors: list[Tensor] = []
    with torch.no_grad():
        for sample in DataLoader(dataset, batch):
            moving, fixed, theta = (sample[name].to(device) for name in ("moving", "fixed", "theta"))
            height, width = fixed.shape[-2:]
            found = net.find(*net.features(moving, fixed), (height, width))
            end = affine_fit.theta_to_centred(found.rounds[level][-1].theta, height, width)
            error = grid_error_px(end, affine_fit.theta_to_centred(theta, height, width), height, width)
            errors.append((error * (320.0 / width)).clamp(max=_LIMIT_PX))
    return float(torch.cat(errors).mean())
