"""Checkpoints and ONNX files behind the one interface that the live runtime has: `vr.runtime.Aligner`."""

from pathlib import Path

from vr.runtime import Aligner
from vr.runtime.embedded import EMBEDDED
from vr.runtime.errors import ModelError
from vr.train import checkpoint
from vr.train.torch_session import TorchSession

CHECKPOINT_SUFFIX = ".pt"


def load_model(model: str) -> Aligner:
    """A checkpoint (.pt), an ONNX estimate file, or an embedded model by name, on the CPU.

    Raises InputError or ModelError if it cannot be used.
    """
    if Path(model).suffix == CHECKPOINT_SUFFIX:
        return Aligner(TorchSession.of(checkpoint.load(Path(model))))
    if not Path(model).suffix and model not in EMBEDDED and not Path(model).exists():
        known = ", ".join(EMBEDDED)
        raise ModelError(f"no model {model!r}; expected {known}, a checkpoint (.pt) or an ONNX file of vr-export")
    return Aligner.load(model, provider="cpu")
