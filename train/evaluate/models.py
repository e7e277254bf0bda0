"""Checkpoints and ONNX files behind the one interface that the live runtime has: `vr.runtime.Aligner`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vr.models.base import RegistrationNet
from vr.runtime import Aligner
from vr.runtime.contract import ModelInfo
from vr.runtime.embedded import EMBEDDED
from vr.runtime.errors import ModelError
from vr.runtime.session import Session
from vr.train import checkpoint

CHECKPOINT_SUFFIX = ".pt"


class TorchSession(Session):
    """A checkpoint in the place of an ONNX file: the same inputs and outputs, computed by PyTorch on the CPU."""

    def __init__(self, path: Path) -> None:
        """Raises InputError if the file cannot be read, ModelError if it is no checkpoint of this version."""
        loaded = checkpoint.load(path)
        self.path, self.provider = path, "cpu"
        self._net = loaded.build()
        self.info = _info(self._net, loaded.mode, loaded.run)
        self.output_names = self.info.transform_names

    @torch.no_grad()
    def run(
        self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[np.float32] | NDArray[np.uint8]]:
        """As `vr.runtime.session.Session.run`, of the outputs in `info.transform_names`."""
        found = self._net(torch.from_numpy(feed["moving"]), torch.from_numpy(feed["fixed"]))
        return {name: getattr(found, name).numpy() for name in outputs}


def load_model(model: str) -> Aligner:
    """A checkpoint (.pt), an ONNX estimate file, or an embedded model by name, on the CPU.

    Raises InputError or ModelError if it cannot be used.
    """
    if Path(model).suffix == CHECKPOINT_SUFFIX:
        return Aligner(TorchSession(Path(model)))
    if not Path(model).suffix and model not in EMBEDDED and not Path(model).exists():
        known = ", ".join(EMBEDDED)
        raise ModelError(f"no model {model!r}; expected {known}, a checkpoint (.pt) or an ONNX file of vr-export")
    return Aligner.load(model, provider="cpu")


def _info(net: RegistrationNet, mode: str, run: str) -> ModelInfo:
    return ModelInfo(
        graph="estimate",
        kind=net.kind,
        network=net.network,
        mode=mode,
        size_hw=net.size_hw,
        has_confidence=net.has_confidence,
        has_information=net.has_information,
        training_run=run,
    )
