"""A network in torch that the runtime's aligner can ask, as if it were an exported file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from vr.models.base import RegistrationNet
from vr.runtime.contract import ModelInfo
from vr.train.checkpoint import Checkpoint


class TorchSession:
    """What `vr.runtime.aligner.Aligner` needs of a session; runs where the network's weights lie, in eval mode."""

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
        self._net = net.eval()

    @classmethod
    def of(cls, saved: Checkpoint) -> Self:
        """Of a checkpoint, on the CPU. Raises ModelError if it does not fit together, or is of a person segmenter."""
        return cls(saved.build(), saved.mode, saved.run)

    @torch.no_grad()
    def run(self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The network's answer: `outputs` by name, of flow, theta, confidence and information."""
        device = next(self._net.parameters()).device
        found = self._net(*(torch.from_numpy(feed[name]).to(device) for name in ("moving", "fixed")))
        return {name: getattr(found, name).cpu().numpy() for name in outputs}
