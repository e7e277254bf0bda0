"""Checkpoints: one file that holds a network, how it came about, and all that is needed to go on training."""

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import torch
from torch import Tensor, nn

from vr.models import registry
from vr.models.base import RegistrationNet
from vr.models.segmenter import SegmenterNet
from vr.runtime.embedded import EMBEDDED
from vr.runtime.errors import InputError, ModelError, OutputError

FORMAT = "vr-checkpoint-1"

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint:
    """A network and its training state.

    network, config: name and constructor arguments, as `vr.models.registry.build` takes them, or "segmenter" and those
        of `vr.models.segmenter.SegmenterNet`.
    weights: the network's state_dict.
    mode: what the network looks at, one of `vr.runtime.preprocess.MODES`; "rgb" of a segmenter.
    run: id of the training run, `name-date-seed`.
    training: the training configuration, and what is known of the data; empty for imported weights.
    epoch, step: finished epochs, and optimizer steps in all.
    optimizer, rng: states to go on from; None in a file that is not meant to be resumed.
    history: one dict of figures per finished epoch.
    average: running average of the weights, in the state of a run that keeps one.
    """

    network: str
    config: dict[str, Any]
    weights: dict[str, Tensor]
    mode: str
    run: str
    training: dict[str, Any] = field(default_factory=dict[str, Any])
    epoch: int = 0
    step: int = 0
    optimizer: dict[str, Any] | None = None
    rng: dict[str, Tensor] | None = None
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    average: dict[str, Tensor] | None = None

    @property
    def is_segmenter(self) -> bool:
        """Whether it is of a person segmenter and not of a registration network."""
        return self.network == SegmenterNet.network

    def build(self) -> RegistrationNet:
        """The registration network with its weights, on the CPU, in eval mode. Raises ModelError if they do not fit
        together, and for a person segmenter.
        """
        if self.is_segmenter:
            raise ModelError(
                f"run {self.run!r} trained a person segmenter; expected a checkpoint of a registration network "
                "(vr-train match, dense, affine or voxelmorph)"
            )
        return self._with_weights(lambda: registry.build(self.network, self.config))

    def build_segmenter(self) -> SegmenterNet:
        """The person segmenter, likewise. Raises ModelError, also for a registration network."""
        if not self.is_segmenter:
            raise ModelError(
                f"run {self.run!r} trained the {self.network} network; expected a checkpoint of vr-train segmenter"
            )
        return self._with_weights(lambda: SegmenterNet(**self.config))

    def _with_weights(self, make: Callable[[], Net]) -> Net:
        try:
            net = make()
            net.load_state_dict(self.weights)
        except (ValueError, TypeError, RuntimeError) as error:
            raise ModelError(f"the checkpoint of run {self.run!r} does not fit this version: {error}") from error
        return net.eval()


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a file beside `path`, then renames it: a crash, a kill or a full disk leaves the older file.

    Raises OutputError if it cannot be written.
    """
    values = {f.name: getattr(checkpoint, f.name) for f in fields(checkpoint)}
    part = path.with_name(f".{path.name}.part")
    # Not straight into the file: torch would hide why it cannot be written.
    content = io.BytesIO()
    torch.save({"format": FORMAT, **values}, content)
    try:
        with part.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write the checkpoint {path} ({error.strerror}); make room, or see that the folder is writable"
        ) from error


def built_in(name: str) -> Path:
    """The checkpoint that an embedded model was exported from; its card lies beside the model."""
    return Path(__file__).parent / "defaults" / f"{name}.pt"


def load(path: Path) -> Checkpoint:
    """Reads what `save` wrote, on the CPU, without running any code from the file. The name of an embedded model, for
    example "default", stands for its checkpoint.

    Raises InputError if the file cannot be read, ModelError if it is not a checkpoint of this package.
    """
    if str(path) in EMBEDDED and not path.exists():
        path = built_in(str(path))
    try:
        with path.open("rb") as file:
            _check_unpacked_size(file)
            values = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path} ({error.strerror})") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise ModelError(
            f"{path} is not a checkpoint; expected a .pt file written by vr-train, whole and unchanged"
        ) from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ModelError(f"{path} is not a checkpoint of this version; expected a .pt file written by vr-train")
    try:
        return Checkpoint(**values)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the checkpoint {path} is damaged ({error}); train or import again") from error


def _check_unpacked_size(file: BinaryIO) -> None:
    """Raises ValueError for an archive that is larger unpacked than packed: torch writes none, a bomb is one."""
    if zipfile.is_zipfile(file):
        file.seek(0, io.SEEK_END)
        size = file.tell()
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > size:
                raise ValueError("the archive is compressed")
    file.seek(0)
