"""The folder of one training run: what lies where, and when it may be written to."""

from dataclasses import dataclass
from pathlib import Path

from vr.runtime.errors import InputError, OutputError
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run.

    last: the newest state, to resume from. best: the network with the lowest validation loss, to export.
    """

    root: Path

    @property
    def last(self) -> Path:
        """Checkpoint to resume from."""
        return self.root / "last.pt"

    @property
    def best(self) -> Path:
        """Checkpoint to export."""
        return self.root / "best.pt"

    @property
    def loss_curve(self) -> Path:
        """Picture of the losses by epoch."""
        return self.root / "loss_curve.png"

    @property
    def figures(self) -> Path:
        """JSON with the final figures on the test pairs."""
        return self.root / "figures.json"

    @property
    def tensorboard(self) -> Path:
        """Folder for `tensorboard --logdir`."""
        return self.root / "tensorboard"

    def check_free(self, resumable: bool = True) -> None:
        """Raises OutputError if the folder holds anything: nothing is overwritten."""
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            go_on = "add --resume to go on, or " if resumable else ""
            raise OutputError(f"{self.root} exists and is not empty; {go_on}name another --out")

    def start(self) -> None:
        """Creates the folder. Raises OutputError if it is not free, or cannot be written to."""
        self.check_free()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise OutputError(
                f"cannot write to the folder {self.root} ({error.strerror}); name another --out"
            ) from error

    def resume(self) -> Checkpoint:
        """The state to go on from. Raises InputError if there is none."""
        if not self.last.is_file():
            raise InputError(f"nothing to resume: no {self.last}; start without --resume, in a new folder")
        state = checkpoint.load(self.last)
        if state.optimizer is None or state.rng is None or "settings" not in state.training:
            raise InputError(f"{self.last} holds no training state to resume from; start in a new folder")
        return state
