"""The models that the package carries, and what a user may write for a model."""

from pathlib import Path

from vr.runtime.session import default_model_path

DEFAULT = "default"
EMBEDDED = (DEFAULT, "small", "clean")
"""small: for weak processors. clean: trained on generated scenes alone, free of the terms of others' pictures."""


def embedded_path(name: str) -> Path:
    """The file of an embedded model; its card lies beside it as NAME.md."""
    return default_model_path().with_name(f"{name}.onnx")


def model_path(model: Path | str | None) -> Path:
    """What `--model` and `Aligner.load` mean: None is the default, a name in EMBEDDED that model, all else a file.

    Model files end in .onnx, so a name without it cannot be mistaken for one.
    """
    if model is None:
        return default_model_path()
    return embedded_path(str(model)) if str(model) in EMBEDDED else Path(model)
