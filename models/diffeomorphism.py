"""From a stationary velocity field to a flow that does not fold: scaling and squaring."""

from torch import Tensor

from vr.models.geometry import flow_to_grid, sample_flow


def integrate(velocity: Tensor, steps: int) -> Tensor:
    """The flow at time 1 of a stationary velocity field, both (N, 2, H, W), x then y, in px of their grid.

    Scaling and squaring (Arsigny et al., MICCAI 2006, section 3.3; Dalca et al., MICCAI 2018, section 2.1): the flow at
    time `2^-steps` is `velocity / 2^steps`; then `steps` times `flow(x) <- flow(x) + flow(x + flow(x))`. With 0 steps
    the velocity itself. Beyond the border the border's flow goes on. A velocity whose slope is well below `2^steps`
    px per px gives a map without folds, but for what the grid is too coarse for.
    """
    flow = velocity / 2.0**steps
    for _ in range(steps):
        flow = flow + sample_flow(flow, flow_to_grid(flow))
    return flow
