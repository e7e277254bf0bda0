"""Teaches the matching network's judge when to trust a registration.

The judge sees only signs that the stages leave behind (`vr.models.match.evidence`), never the image: it is
a small logistic regression, fitted after the training on pairs that the encoder was not trained on, a third
of which do not belong together at all.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from vr.models import affine_fit
from vr.models.match import MatchNet, evidence
from vr.train.match_data import MatchDataset
from vr.train.match_loss import grid_error_px

# A registration is good if its mean grid error is below this, in px at 320 px width.
GOOD_BELOW_PX = 5.0
_ITERATIONS = 1500


def gather(net: MatchNet, dataset: MatchDataset, batch: int) -> tuple[Tensor, Tensor]:
    """Evidence (M, E) and grid errors (M,) in px at 320 px width; every third pair is torn apart (error
    infinite).
    """
    device = next(net.parameters()).device
    signs: list[Tensor] = []
    errors: list[Tensor] = []
    net.eval()
    with torch.no_grad():
        for sample in DataLoader(dataset, batch):
            moving, fixed, theta = (sample[name].to(device) for name in ("moving", "fixed", "theta"))
            foreign = torch.arange(len(moving), device=device) % 3 == 2
            moving = torch.where(foreign.reshape(-1, 1, 1, 1), moving.roll(1, 0), moving)
            height, width = fixed.shape[-2:]
            found = net.find(*net.features(moving, fixed), (height, width))
            truth = affine_fit.theta_to_centred(theta, height, width)
            affine = affine_fit.theta_to_centred(found.theta, height, width)
            error = grid_error_px(affine, truth, height, width) * (320.0 / width)
            signs.append(evidence(found, height, width))
            errors.append(torch.where(foreign, torch.inf, error))
    return torch.cat(signs), torch.cat(errors)


def fit_judge(net: MatchNet, signs: Tensor, errors_px: Tensor, seed: int) -> float:
    """Fits `net.judge` to tell errors below `GOOD_BELOW_PX`; returns the final cross-entropy in nats."""
    torch.manual_seed(seed)
    good = (errors_px < GOOD_BELOW_PX).float()
    for layer in net.judge:
        if isinstance(layer, torch.nn.Linear):
            layer.reset_parameters()
    optimizer = torch.optim.AdamW(net.judge.parameters(), lr=5e-3, weight_decay=1e-2)
    loss = torch.zeros(())
    for _ in range(_ITERATIONS):
        loss = F.binary_cross_entropy_with_logits(net.judge(signs).squeeze(1), good)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def judge_figures(net: MatchNet, signs: Tensor, errors_px: Tensor, threshold: float) -> dict[str, float]:
    """Shares in [0, 1]: good pairs refused, wrong (> 10 px) pairs accepted of all, foreign pairs refused."""
    with torch.no_grad():
        accepted = torch.sigmoid(net.judge(signs).squeeze(1)) >= threshold
    good, wrong = errors_px < GOOD_BELOW_PX, errors_px > 10.0
    foreign = errors_px.isinf()
    return {
        "good_refused": _share(~accepted & good, good),
        "confidently_wrong": _share(accepted & wrong & ~foreign, ~foreign),
        "foreign_refused": _share(~accepted & foreign, foreign),
    }


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part.sum()) / max(int(whole.sum()), 1)
