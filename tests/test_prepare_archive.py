"""The thesis's `dataset.npz` as input of `vr-train prepare`."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.test_prepare_command import manifest, prepare, refused, report
from vr.runtime.errors import InputError
from vr.train.data import list_pairs, read_mask
from vr.train.prepare.archive import Archive

COUNT = 20


def arrays(count: int = COUNT) -> dict[str, NDArray[np.uint8]]:
    """Frames of noise, and masks as the thesis has them: person 0, rest 255."""
    rng = np.random.default_rng(0)
    masks = np.full((count, 48, 64), 255, np.uint8)
    for index in range(count):
        masks[index, 10:40, 5 + index : 20 + index] = 0
    rgb = rng.integers(40, 200, (count, 48, 64, 3), dtype=np.uint8)
    rgb[..., 2] = 220
    return {
        "rgb": rgb,
        "ir": rng.integers(40, 200, (count, 48, 64), dtype=np.uint8),
        "mask_rgb": masks,
        "mask_ir": np.roll(masks, 3, axis=2),
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_members_are_read_one_image_at_a_time(tmp_path: Path, save: object) -> None:
    data = arrays()
    save(tmp_path / "d.npz", **data)  # type: ignore[operator]
    archive = Archive(tmp_path / "d.npz")
    assert archive.has_masks
    assert np.array_equal(np.stack(list(archive.images("rgb"))), data["rgb"])
    masks = np.stack(list(archive.masks("mask_ir")))
    assert np.array_equal(masks, (data["mask_ir"] == 0).astype(np.uint8))


def test_a_folder_comes_out_with_person_one(tmp_path: Path) -> None:
    data = arrays()
    np.savez(tmp_path / "dataset.npz", **data)  # type: ignore[arg-type]
    done = prepare("--npz", tmp_path / "dataset.npz", "--out", tmp_path / "d", "--format", "png", "--guard-s", 0)
    assert done.returncode == 0, done.stderr
    assert report(tmp_path / "d")["kept"] == COUNT
    assert "given" in done.stdout
    pairs = list_pairs(tmp_path / "d" / "masks")
    for index, pair in enumerate(pairs):
        assert np.array_equal(read_mask(pair.rgb), (data["mask_rgb"][index] == 0).astype(np.uint8))
        assert np.array_equal(read_mask(pair.ir), (data["mask_ir"][index] == 0).astype(np.uint8))
    assert {line["split"] for line in manifest(tmp_path / "d")} == {"train", "val", "test"}
    colour = cv2.imread(str(tmp_path / "d" / "rgb" / "0_000000.png"))
    assert colour is not None and np.array_equal(colour, data["rgb"][0])


def test_colours_in_the_other_order(tmp_path: Path) -> None:
    data = arrays(3)
    np.savez(tmp_path / "d.npz", rgb=data["rgb"], ir=data["ir"])
    done = prepare("--npz", tmp_path / "d.npz", "--out", tmp_path / "d", "--format", "png", "--npz-colours", "rgb")
    assert done.returncode == 0, done.stderr
    colour = cv2.imread(str(tmp_path / "d" / "rgb" / "0_000000.png"))
    assert colour is not None and np.array_equal(colour, data["rgb"][0][:, :, ::-1])
    assert not (tmp_path / "d" / "masks").exists()


def test_pairs_without_a_person_are_dropped(tmp_path: Path) -> None:
    data = arrays()
    data["mask_ir"][4:7] = 255
    data["mask_rgb"][9, 10:35] = 255
    np.savez(tmp_path / "d.npz", **data)  # type: ignore[arg-type]
    assert prepare("--npz", tmp_path / "d.npz", "--out", tmp_path / "d", "--no-split").returncode == 0
    reasons = [line["reason"] for line in manifest(tmp_path / "d")]
    assert [n for n, reason in enumerate(reasons) if reason == "no person"] == [4, 5, 6]
    assert [n for n, reason in enumerate(reasons) if reason == "implausible mask"] == [9]


class Harmful:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickled_objects_are_refused_and_not_loaded(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    objects = np.empty(2, object)
    objects[:] = [Harmful(touched), Harmful(touched)]
    np.savez(tmp_path / "d.npz", rgb=objects, ir=arrays(2)["ir"])  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(Harmful(tmp_path / "other"))) is None and (tmp_path / "other").exists()
    message = refused(prepare("--npz", tmp_path / "d.npz", "--out", tmp_path / "out"))
    assert "rgb holds pickled Python objects, which are not loaded" in message
    assert not touched.exists() and not (tmp_path / "out").exists()


def test_other_archives_are_refused(tmp_path: Path) -> None:
    data = arrays(3)
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "keys.npz", rgb=data["rgb"])
    np.savez(tmp_path / "count.npz", rgb=data["rgb"], ir=data["ir"][:2])
    np.savez(tmp_path / "float.npz", rgb=data["rgb"].astype(np.float32), ir=data["ir"])
    np.savez(tmp_path / "order.npz", rgb=np.asfortranarray(data["rgb"]), ir=data["ir"])
    cases = {
        "absent": "cannot read",
        "text": "expected an npz archive",
        "keys": "has no ir",
        "count": "the same number of images",
        "float": "rgb is float32",
        "order": "in C order",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            Archive(tmp_path / f"{name}.npz")


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **arrays())  # type: ignore[arg-type]
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[5000] ^= 255
    (tmp_path / "d.npz").write_bytes(bytes(content))
    with pytest.raises(InputError, match="rgb is damaged at image"):
        list(Archive(tmp_path / "d.npz").images("rgb"))
