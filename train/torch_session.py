"""A network in torch that the runtime's aligner can ask, as if it were an exported file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vr.models.base import RegistrationNet
from vr.runtime.contract import ModelInfo


class TorchSession:
    """What `vr.runtime.aligner.Aligner` needs of a session; runs where the network's weights lie."""

    provider = "torch"

    def __init__(self, net: RegistrationNet, mode: str, run: str) -> None:
        """mode, run: of the network's checkpoint."""
        self.path = Path(run)
        self.info = ModelInfo(
            graph="estimate",
            kind=net.kind,
            network=net.network,
            mode=mode,
            size_hw=net.size_hw,
            has_confidence=net.has_confidence,
            has_information=net.has_information,
            training_run=run,
        )
        self._net = net

    @torch.no_grad()
    def run(self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The network's answer in eval mode: `outputs` by name, of flow, theta, confidence and information."""
        device = next(self._net.parameters()).device
        self._net.eval()
        found = self._net(*(torch.from_numpy(feed[name]).to(device) for name in ("moving", "fixed")))
        return {name: getattr(found, name).cpu().numpy() for name in outputs}
