"""The thesis's own trained networks as checkpoints of this project.

The published files hold plain tensors under the names of the 2020 code. Every name is listed here with its
new one; a name that is missing or unknown is an error, so nothing is guessed. What else differs:

- the VoxelMorph code orders the flow y, x: the two channels of the head are swapped;
- its sampling grid is a constant of the code, not a weight, and is left out;
- the networks learned on masks with person 0 and rest 1: they are built with `inverted_input`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vr.models import registry
from vr.runtime.errors import InputError, ModelError
from vr.runtime.preprocess import to_gray
from vr.train.checkpoint import Checkpoint
from vr.train.data import read_image

SIZE_HW = (240, 320)

AFFINE_NAMES = {
    "localization.0": "convs.0",
    "localization.3": "convs.1",
    "localization.6": "convs.2",
    "localization.9": "convs.3",
    "localization.12": "convs.4",
    "localization.15": "convs.5",
    "fc_loc.0": "linears.0",
    "fc_loc.2": "linears.1",
    "fc_loc.4": "linears.2",
}
VOXELMORPH_NAMES = {
    "unet_model.enc.0.main": "encoder.0",
    "unet_model.enc.1.main": "encoder.1",
    "unet_model.enc.2.main": "encoder.2",
    "unet_model.enc.3.main": "encoder.3",
    "unet_model.dec.0.main": "decoder.0",
    "unet_model.dec.1.main": "decoder.1",
    "unet_model.dec.2.main": "decoder.2",
    "unet_model.dec.3.main": "decoder.3",
    "unet_model.dec.4.main": "decoder.4",
    "unet_model.dec.5.main": "decoder.5",
    "flow": "head",
}
_GRID = "spatial_transform.grid"


def import_thesis(path: Path) -> Checkpoint:
    """A .safetensors file of the thesis to a checkpoint, mode "mask", size 240x320.

    Raises InputError if the file cannot be read, ModelError if it is no safetensors file, or not one of the
    thesis's two networks tensor by tensor.
    """
    network, weights = convert(_read(path), str(path))
    config = {"size_hw": list(SIZE_HW), "inverted_input": True}
    checkpoint = Checkpoint(network, config, weights, mode="mask", run=f"thesis-{path.stem}")
    _check_shapes(checkpoint, path)
    return checkpoint


def convert(old: dict[str, Tensor], source: str) -> tuple[str, dict[str, Tensor]]:
    """Old names to (network, new state_dict). `source` names the file in errors.

    Raises ModelError on a missing or an unknown name.
    """
    if "localization.0.weight" in old:
        return "affine", _rename(old, AFFINE_NAMES, source)
    weights = _rename({name: old[name] for name in old if name != _GRID}, VOXELMORPH_NAMES, source)
    for name in ("head.weight", "head.bias"):
        weights[name] = weights[name].flip(0).contiguous()
    return "voxelmorph", weights


def read_thesis_mask(path: Path) -> NDArray[np.uint8]:
    """A mask file of the thesis (person 0, rest 255) to (h, w) uint8 of the project: person 1, rest 0."""
    return (to_gray(read_image(path)) < 128).astype(np.uint8)


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the weights file {path} ({error.strerror})") from error
    except SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file; expected one of the thesis's three networks") from error


def _rename(old: dict[str, Tensor], names: dict[str, str], source: str) -> dict[str, Tensor]:
    table = {f"{a}.{kind}": f"{b}.{kind}" for a, b in names.items() for kind in ("weight", "bias")}
    missing, unknown = sorted(table.keys() - old.keys()), sorted(old.keys() - table.keys())
    if missing or unknown:
        raise ModelError(
            f"{source} does not hold a network of the thesis: {len(missing)} tensors are missing "
            f"({_first(missing)}), {len(unknown)} are unknown ({_first(unknown)})"
        )
    return {new: old[name].clone() for name, new in table.items()}


def _check_shapes(checkpoint: Checkpoint, path: Path) -> None:
    expected = registry.build(checkpoint.network, checkpoint.config).state_dict()
    wrong = [name for name, tensor in expected.items() if checkpoint.weights[name].shape != tensor.shape]
    if wrong:
        raise ModelError(f"{path} is not the thesis's {checkpoint.network} network: other shapes in {_first(wrong)}")


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "none"
