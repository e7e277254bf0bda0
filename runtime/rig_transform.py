"""`--rig-transform`: where estimates begin to look, as numbers or as a file of a calibration."""

from pathlib import Path

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, theta_of_numbers
from vr.runtime.interchange import READABLE, RigTransform, load_transform

_EXPECTED = (
    "expected six numbers (affine) or nine (homography) with commas between, normalised, from the RGB to the IR frame, "
    f"or a file that ends in {', '.join(READABLE)}"
)


def rig_transform(text: str) -> RigTransform:
    """The transform that a text names: numbers row by row, `a,b,c,d,e,f`, or a file. Raises InputError for all else."""
    numbers = _numbers(text)
    if numbers is not None:
        return RigTransform(theta_of_numbers(numbers), "normalised")
    path = Path(text)
    if path.suffix.lower() not in READABLE:
        raise InputError(f"--rig-transform is {text!r:.80}; {_EXPECTED}")
    if not path.is_file():
        raise InputError(f"--rig-transform: there is no file {path}; {_EXPECTED}")
    return load_transform(path)


def is_numbers(text: str) -> bool:
    """Whether a text is numbers and names no file."""
    return _numbers(text) is not None


def theta_text(theta: Float64Array) -> str:
    """What `rig_transform` reads as this theta, to six digits behind the point: far below a pixel."""
    return ",".join(f"{number:.6f}" for number in theta.ravel())


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None
