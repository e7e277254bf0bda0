"""Masks of the people in both frames of a pair, while a video runs: what models of mode `mask` look at.

`Aligner.load("masks.onnx", masks=PersonMasks.load(MaskOptions(Path("person.onnx"))))` takes frames.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from vr.runtime.errors import InputError
from vr.runtime.mask import Mask, MaskLimits, mask_fault
from vr.runtime.preprocess import Frame
from vr.runtime.segmenter import Segmenter
from vr.runtime.temporal import FRAME_INTERVAL_S
from vr.runtime.threshold import WarmMasks

AUTO = "auto"


@dataclass(frozen=True)
class MaskOptions:
    """How `vr-live --mode mask` finds people.

    segmenter: file for RGB frames. ir_segmenter: for IR frames, None for a threshold. ir_threshold: "auto", or a level
    from 0 to 255.
    """

    segmenter: Path | None = None
    ir_segmenter: Path | None = None
    ir_threshold: str = AUTO

    def check(self, mode: str | None) -> None:
        """Raises InputError if they make no sense, alone or in a `mode` ("mask", or None for that of the model)."""
        if mode not in (None, "mask"):
            raise InputError(f"--mode is {mode!r}; expected mask, or no --mode: frames go to the model as they are")
        if mode is None and self != MaskOptions():
            raise InputError("--segmenter, --ir-segmenter and --ir-threshold are for --mode mask; add it")
        if mode == "mask" and self.segmenter is None:
            raise InputError(
                "--mode mask needs --segmenter FILE.onnx to find people in the RGB frames "
                "(vr-train segmenter, then vr-export)"
            )
        if self.ir_segmenter is not None and self.ir_threshold != AUTO:
            raise InputError("--ir-segmenter and --ir-threshold both make the IR masks; give one of them")
        self.level()

    def level(self) -> float | None:
        """The threshold, None for automatic. Raises InputError if it is neither."""
        if self.ir_threshold == AUTO:
            return None
        if not self.ir_threshold.isdigit() or int(self.ir_threshold) > 255:
            raise InputError(f"--ir-threshold is {self.ir_threshold!r}; expected auto, or a level from 0 to 255")
        return float(self.ir_threshold)

    def describe(self) -> str:
        """In words."""
        ir = f"threshold {self.ir_threshold}" if self.ir_segmenter is None else str(self.ir_segmenter)
        return f"RGB by {self.segmenter}, IR by {ir}"


@dataclass(frozen=True)
class MaskPair:
    """Masks (h, w) uint8, person 1, of the two frames. fault: why they cannot be aligned, "" if they can."""

    ir: Mask
    rgb: Mask
    fault: str


@dataclass
class PersonMasks:
    """Makes the masks of one video, frame by frame.

    rgb: a frame to its mask. ir: the same, or by threshold. limits: pairs outside are not aligned: nobody is in one of
    the frames, or the masks cannot be of the same people.
    """

    rgb: Callable[[Frame], Mask]
    ir: Callable[[Frame], Mask] | WarmMasks = field(default_factory=WarmMasks)
    limits: MaskLimits = field(default_factory=MaskLimits)
    _time_s: float = field(default=0.0, init=False)

    @classmethod
    def load(cls, options: MaskOptions, provider: str = "auto", threads: int | None = None) -> Self:
        """As the options say. Raises InputError, ModelError, or VrError if onnxruntime is not installed."""
        options.check("mask")
        assert options.segmenter is not None
        ir = WarmMasks(options.level())
        if options.ir_segmenter is not None:
            return cls(
                Segmenter(options.segmenter, provider, threads), Segmenter(options.ir_segmenter, provider, threads)
            )
        return cls(Segmenter(options.segmenter, provider, threads), ir)

    def single(self, ir: Frame, rgb: Frame) -> MaskPair:
        """The masks of a pair on its own."""
        return self._judged(self.ir.single(ir) if isinstance(self.ir, WarmMasks) else self.ir(ir), rgb)

    def next(self, ir: Frame, rgb: Frame, time_s: float | None) -> MaskPair:
        """The masks of the next pair of a video; time_s: when it was taken, None means 1/30 s after the last one."""
        self._time_s = self._time_s + FRAME_INTERVAL_S if time_s is None else time_s
        return self._judged(self.ir.next(ir, self._time_s) if isinstance(self.ir, WarmMasks) else self.ir(ir), rgb)

    def reset(self) -> None:
        """Forgets the video so far."""
        if isinstance(self.ir, WarmMasks):
            self.ir.reset()

    def _judged(self, ir_mask: Mask, rgb: Frame) -> MaskPair:
        rgb_mask = self.rgb(rgb)
        fault = mask_fault({"IR": ir_mask, "RGB": rgb_mask}, self.limits)
        return MaskPair(ir_mask, rgb_mask, "" if fault is None else fault.detail)
