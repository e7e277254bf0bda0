"""Where does each point of the fixed image lie in the moving one: feature correlation and its soft maximum.

A match distribution always has one more bin than candidates, "nowhere": the probability left for the candidates
is the weight of the match.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def centred_grid(height: int, width: int, stride: int, like: Tensor, step: int = 1, first: int = 0) -> Tensor:
    """(Q, 2) centres, in centred px of the input, of every `step`-th cell of a `height` x `width` feature map.

    One cell covers `stride` x `stride` input pixels; `first` is the first cell taken on each axis.
    """
    x = (torch.arange(first, width, step, device=like.device, dtype=torch.float32) + 0.5 - width / 2.0) * stride
    y = (torch.arange(first, height, step, device=like.device, dtype=torch.float32) + 0.5 - height / 2.0) * stride
    rows, columns = y.shape[0], x.shape[0]
    xx = x.reshape(1, columns).expand(rows, columns)
    yy = y.reshape(rows, 1).expand(rows, columns)
    return torch.stack([xx, yy], dim=2).reshape(rows * columns, 2)


def with_nowhere(logits: Tensor, nowhere: Tensor) -> Tensor:
    """(N, Q, K) logits of the candidates -> (N, Q, K + 1), the last one `nowhere` (a scalar)."""
    return torch.cat([logits, nowhere.expand(logits.shape[0], logits.shape[1], 1)], dim=2)


def soft_match(probability: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Expected position (N, Q, 2) and weight (N, Q) of match distributions (N, Q, K), K candidates at (K, 2).

    Squaring the probabilities before the mean keeps a second, weaker candidate from dragging the mean between two
    places; the weight is large only when the mass is both on candidates and in few places.
    """
    squared = probability * probability
    weight = squared.sum(dim=2)
    return squared @ positions / (weight.unsqueeze(2) + 1e-9), weight


def window_offsets(radius: int, stride: int, like: Tensor) -> Tensor:
    """(K, 2) offsets in px of a (2 radius + 1)^2 window of cells, row by row, as `local_logits` orders them."""
    line = torch.arange(-radius, radius + 1, device=like.device, dtype=torch.float32) * stride
    count = 2 * radius + 1
    xx = line.reshape(1, count).expand(count, count)
    yy = line.reshape(count, 1).expand(count, count)
    return torch.stack([xx, yy], dim=2).reshape(count * count, 2)


def local_logits(fixed: Tensor, warped: Tensor, radius: int, step: int, first: int) -> Tensor:
    """Correlation of every `step`-th fixed cell with its window in the warped moving features.

    fixed, warped (N, C, h, w), h and w multiples of `step` -> (N, Q, K): queries row by row, window row by row.
    First all rows of the windows, then all columns of those rows: plain slices, because `unfold` exports as a Gather
    that costs more than the rest of the network.
    """
    height, width = fixed.shape[-2:]
    query = fixed[:, :, first::step, first::step]
    padded = F.pad(warped, (radius, radius, radius, radius))
    starts = range(first, first + 2 * radius + 1)
    rows = torch.stack([padded[:, :, start : start + height : step] for start in starts], dim=2)
    windows = torch.stack([rows[..., start : start + width : step] for start in starts], dim=3)
    logits = (query.unsqueeze(2).unsqueeze(2) * windows).sum(dim=1)
    return logits.flatten(3).flatten(1, 2).transpose(1, 2)
