"""The models that the package carries, and what a user may write for a model."""

from pathlib import Path

from vr.runtime.errors import ModelError
from vr.runtime.hub import hub_path, is_hub_id
from vr.runtime.session import default_model_path

DEFAULT = "default"
EMBEDDED = (DEFAULT, "small", "clean", "dense")
"""small: for weak processors. clean: trained on generated scenes alone, free of the terms of others' pictures. dense:
the default, bent by a smooth flow, for objects at different distances.
"""


def embedded_path(name: str) -> Path:
    """The file of an embedded model; its card lies beside it as NAME.md."""
    return default_model_path().with_name(f"{name}.onnx")


def model_path(model: Path | str | None) -> Path:
    """What `--model` and `Aligner.load` mean: None is the default, a name in EMBEDDED that model, hf://ORG/NAME one of
    the Hugging Face Hub (`vr.runtime.hub`), which is downloaded, all else a file.

    Model files end in .onnx, so a name without it cannot be mistaken for one. Raises ModelError for a name that is none
    of these, and for a model of the Hub that cannot be had.
    """
    if model is None:
        return default_model_path()
    if str(model) in EMBEDDED:
        return embedded_path(str(model))
    if is_hub_id(model):
        return hub_path(model)
    path = Path(model)
    if not path.suffix and not path.exists():
        known = ", ".join(EMBEDDED)
        raise ModelError(f"no model {str(model)!r}; expected {known}, or an ONNX file written by vr-export")
    return path
