"""What the commands of the pages find in the folder in which they are run: small stand-ins under the names they use."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from tests.helpers import REPOSITORY, write_masks, write_pairs
from tests.onnx_models import affine_info, write_affine, write_segmenter
from tests.segmenter_folder import write_labelled
from vr.runtime.sim import Simulator

_FRAMES, _FRAME_HW = 24, (240, 320)


def write_files(folder: Path) -> None:
    """Videos, images, a folder of pairs with masks, models, and a configuration."""
    _write_frames(folder)
    _write_archive(folder / "dataset.npz")
    size_hw = (96, 128)
    write_masks(write_pairs(folder / "DIR", 12, size_hw) / "masks", 12, size_hw)
    write_labelled(folder / "DIR", 8)
    write_affine(folder / "masks.onnx", info=affine_info(mode="mask", has_confidence=False))
    write_segmenter(folder / "person.onnx")
    shutil.copy(REPOSITORY / "runtime/defaults/default.onnx", folder / "mine.onnx")
    (folder / "rig.toml").write_text('ir = "sim:"\nrgb = "sim:"\n')
    (folder / "runs" / "mine").mkdir(parents=True)
    for name in ("best.pt", "last.pt"):
        shutil.copy(REPOSITORY / "train/defaults/default.pt", folder / "runs" / "mine" / name)


def write_checkpoints(folder: Path) -> None:
    """Checkpoints of networks that have learned nothing. Imports torch."""
    from vr.models.affine import AffineNet
    from vr.models.segmenter import SegmenterNet
    from vr.train import checkpoint

    affine, segmenter = AffineNet(size_hw=(240, 320)), SegmenterNet(size_hw=(48, 64))
    for name, net, mode in (("affine", affine, "gray"), ("seg", segmenter, "rgb")):
        (folder / "runs" / name).mkdir()
        saved = checkpoint.Checkpoint(net.network, net.config, net.state_dict(), mode, f"{name}-20260101-0")
        checkpoint.save(folder / "runs" / name / "best.pt", saved)


def _write_frames(folder: Path) -> None:
    """`ir/`, `rgb/`, two videos, one image and one mask of each side."""
    simulator = Simulator(3, _FRAME_HW, _FRAME_HW)
    pairs = [simulator.frames(index) for index in range(_FRAMES)]
    for side, (name, video) in enumerate((("ir", "thermal"), ("rgb", "colour"))):
        frames = [pair[side] for pair in pairs]
        (folder / name).mkdir()
        for index, frame in enumerate(frames):
            cv2.imwrite(str(folder / name / f"{index:03d}.png"), frame)
        cv2.imwrite(str(folder / f"{name}.png"), frames[0])
        cv2.imwrite(str(folder / f"{name}_mask.png"), simulator.person_masks(0)[side] * np.uint8(255))
        writer = cv2.VideoWriter(
            str(folder / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, _FRAME_HW[::-1], isColor=True
        )
        for frame in frames:
            writer.write(frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        writer.release()
        shutil.copy(folder / f"{name}.mp4", folder / f"{video}.mp4")


def _write_archive(path: Path) -> None:
    """As the thesis has them: persons 0, the rest 255."""
    rng = np.random.default_rng(0)
    masks = np.full((20, 48, 64), 255, np.uint8)
    for index in range(20):
        masks[index, 10:40, 5 + index : 20 + index] = 0
    rgb, ir = (rng.integers(40, 200, (20, 48, 64, *channels), dtype=np.uint8) for channels in ((3,), ()))
    np.savez(path, rgb=rgb, ir=ir, mask_rgb=masks, mask_ir=masks)
