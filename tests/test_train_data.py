"""Folders of pairs: listing, splitting, reading, and the random warps."""

import json
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers import smooth_scene, write_pairs
from vr.models.geometry import affine_flow
from vr.models.spatial_transformer import SpatialTransformer
from vr.runtime.errors import InputError
from vr.runtime.preprocess import MODES, network_input
from vr.train.augment import PairDataset
from vr.train.batches import BatchLoader, to_float
from vr.train.data import Pair, check_images, list_pairs, read_image, read_mask, split_held_out, split_pairs


def test_pairs_are_listed_by_stem_whatever_the_suffix(tmp_path: Path) -> None:
    write_pairs(tmp_path, 3)
    (tmp_path / "ir" / "01.png").rename(tmp_path / "ir" / "01.JPEG")
    (tmp_path / "rgb" / "notes.txt").write_text("not an image")
    (tmp_path / "rgb" / ".hidden.png").write_text("not an image")
    assert [(pair.stem, pair.ir.name, pair.rgb.name) for pair in list_pairs(tmp_path)] == [
        ("00", "00.png", "00.png"),
        ("01", "01.JPEG", "01.png"),
        ("02", "02.png", "02.png"),
    ]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder .*absent; expected a folder with rgb/ and ir/"):
        list_pairs(tmp_path / "absent")
    (tmp_path / "rgb").mkdir()
    cv2.imwrite(str(tmp_path / "rgb" / "0.png"), smooth_scene(0))
    with pytest.raises(InputError, match=r"no folder .*ir"):
        list_pairs(tmp_path)
    (tmp_path / "ir").mkdir()
    with pytest.raises(InputError, match=r"no .jpg, .jpeg, .png image in .*ir"):
        list_pairs(tmp_path)


def test_unmatched_stems_are_counted_and_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, 9)
    (tmp_path / "rgb" / "00.png").unlink()
    with pytest.raises(InputError, match=r"1 image\(s\) in .* have no partner with the same stem: ir/00;"):
        list_pairs(tmp_path)
    for index in range(1, 7):
        (tmp_path / "ir" / f"{index:02d}.png").unlink()
    with pytest.raises(InputError, match=r"7 image\(s\) .*: rgb/01, rgb/02, rgb/03, rgb/04, rgb/05 and 2 more;"):
        list_pairs(tmp_path)


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, 1)
    cv2.imwrite(str(tmp_path / "rgb" / "00.jpg"), smooth_scene(0))
    with pytest.raises(InputError, match=r"has both 00\.jpg and 00\.png"):
        list_pairs(tmp_path)


def pairs(count: int) -> list[Pair]:
    return [Pair(f"{i:03d}", Path(f"{i}"), Path(f"{i}")) for i in range(count)]


def test_splits_are_contiguous_blocks() -> None:
    split = split_pairs(pairs(20), 0.1, 0.2)
    assert [p.stem for p in split.train] == [f"{i:03d}" for i in range(14)]
    assert [p.stem for p in split.val] == ["014", "015"]
    assert [p.stem for p in split.test] == ["016", "017", "018", "019"]
    assert split.all_pairs == pairs(20)


def test_each_split_gets_a_pair_or_the_folder_is_refused() -> None:
    split = split_pairs(pairs(3), 0.1, 0.1)
    assert (len(split.train), len(split.val), len(split.test)) == (1, 1, 1)
    with pytest.raises(InputError, match=r"only 2 pair\(s\)"):
        split_pairs(pairs(2), 0.1, 0.1)


def write_manifest(folder: Path, parts: dict[str, str | None], tail: str = "") -> None:
    lines = [json.dumps({"stem": s, "decision": "kept", "split": part}) for s, part in parts.items()]
    lines.append(json.dumps({"stem": "99", "decision": "dropped", "split": None}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n" + tail)


PARTS = {"00": "test", "01": "train", "02": "train", "03": "val", "04": "train"}


def stems(found: list[Pair]) -> list[str]:
    return [pair.stem for pair in found]


@pytest.mark.parametrize("tail", ["", '{"stem": "04", "deci'])
def test_the_split_of_a_manifest_is_followed(tmp_path: Path, tail: str) -> None:
    write_pairs(tmp_path, 5)
    write_manifest(tmp_path, {**PARTS}, tail)
    split = split_pairs(list_pairs(tmp_path), 0.1, 0.1)
    assert (stems(split.train), stems(split.val), stems(split.test)) == (["01", "02", "04"], ["03"], ["00"])
    split = split_held_out(tmp_path, {tmp_path.name: {"01"}}, 0.5)
    assert (stems(split.train), stems(split.val), stems(split.test)) == (["02", "04"], ["03"], ["00", "01"])


def test_masks_follow_the_manifest_beside_them(tmp_path: Path) -> None:
    write_pairs(tmp_path / "masks", 5)
    write_manifest(tmp_path, {**PARTS})
    assert [pair.part for pair in list_pairs(tmp_path / "masks")] == list(PARTS.values())


def test_a_manifest_without_split_leaves_the_blocks(tmp_path: Path) -> None:
    write_pairs(tmp_path, 5)
    write_manifest(tmp_path, dict.fromkeys(PARTS))
    assert stems(split_pairs(list_pairs(tmp_path), 0.2, 0.2).test) == ["04"]


def test_a_manifest_that_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, 5)
    write_manifest(tmp_path, {**PARTS, "03": "train"})
    with pytest.raises(InputError, match="4 pairs to train, 0 to validate, 1 to test"):
        split_pairs(list_pairs(tmp_path), 0.1, 0.1)
    write_manifest(tmp_path, {"00": "train"})
    with pytest.raises(InputError, match=r"4 pair\(s\) in .* are not in its manifest\.jsonl: 01, 02"):
        list_pairs(tmp_path)
    for bad in ('{"stem": "00"}\n', "no json\n", '{"stem": "00", "decision": "kept", "split": "other"}\n', "7\n"):
        (tmp_path / "manifest.jsonl").write_text(bad)
        with pytest.raises(InputError, match="is not a manifest of vr-train prepare"):
            list_pairs(tmp_path)


def test_unreadable_images_are_counted_and_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, 4)
    check_images(list_pairs(tmp_path))
    (tmp_path / "rgb" / "01.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"01\.png is empty \(0 bytes\)"):
        check_images(list_pairs(tmp_path))
    (tmp_path / "ir" / "02.png").write_text("not an image")
    with pytest.raises(
        InputError, match=r"2 images cannot be used: .*01\.png is empty.*cannot read .*02\.png as an image"
    ):
        check_images(list_pairs(tmp_path))


def test_images_come_with_three_channels_and_their_depth(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), smooth_scene(0))
    cv2.imwrite(str(tmp_path / "deep.png"), smooth_scene(0).astype(np.uint16) * 200)
    assert read_image(tmp_path / "grey.png").shape == (96, 128, 3)
    assert read_image(tmp_path / "deep.png").dtype == np.uint16
    with pytest.raises(InputError, match=r"cannot read image .*absent\.png"):
        read_image(tmp_path / "absent.png")


@pytest.mark.parametrize(("name", "scale"), [("m.png", 1), ("m.png", 255), ("m.jpg", 255)])
def test_masks_of_every_kind_become_one_and_zero(tmp_path: Path, name: str, scale: int) -> None:
    mask = np.zeros((64, 80), np.uint8)
    mask[16:40, 24:48] = 1
    cv2.imwrite(str(tmp_path / name), mask * scale)
    assert np.array_equal(read_mask(tmp_path / name), mask)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "mask"])
def test_without_augmentation_the_network_sees_network_input(tmp_path: Path, mode: str) -> None:
    found = list_pairs(write_pairs(tmp_path, 1))
    sample = PairDataset(found, (48, 64), mode, augment=False, seed=0)[0, 0]
    for name, path in (("moving", found[0].ir), ("fixed", found[0].rgb)):
        frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
        assert np.array_equal(to_float(sample[name]).numpy()[None], network_input(frame, (48, 64), mode))  # type: ignore[arg-type]
    assert sample["theta"].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_theta_of_a_warp_brings_the_moving_image_back(tmp_path: Path) -> None:
    """Direction and units of the drawn truth: warping by theta undoes the warp."""
    found = list_pairs(write_pairs(tmp_path, 4, size_hw=(192, 256)))
    plain = PairDataset(found, (96, 128), "gray", augment=False, seed=0)
    warped = PairDataset(found, (96, 128), "gray", augment=True, seed=0)
    for index in range(4):
        before, after = (to_float(data[0, index]["moving"])[None] for data in (plain, warped))
        flow = affine_flow(warped[0, index]["theta"][None], 96, 128)
        transformer = SpatialTransformer()
        inside = transformer(torch.ones_like(after), flow) > 0.999
        assert float((transformer(after, flow) - before)[inside].abs().mean()) < 0.01
        assert float((after - before)[inside].abs().mean()) > 0.03


def test_warps_follow_from_seed_split_epoch_and_pair_alone(tmp_path: Path) -> None:
    found = list_pairs(write_pairs(tmp_path, 2))

    def theta(seed: int = 0, split: str = "train", epoch: int = 0, index: int = 0) -> list[list[float]]:
        return PairDataset(found, (48, 64), "gray", True, seed, split)[epoch, index]["theta"].tolist()

    assert theta() == theta()
    drawn = [theta(), theta(seed=1), theta(split="val"), theta(epoch=1), theta(index=1)]
    assert all(drawn[i] != drawn[j] for i in range(5) for j in range(i))


def test_masks_stay_masks_when_warped(tmp_path: Path) -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[30:70, 40:80] = 255
    for side in ("rgb", "ir"):
        (tmp_path / side).mkdir()
        cv2.imwrite(str(tmp_path / side / "0.png"), mask)
    sample = PairDataset(list_pairs(tmp_path), (96, 128), "mask", augment=True, seed=0)[0, 0]
    assert set(np.unique(to_float(sample["moving"]).numpy())) == {0.0, 1.0}
    assert not torch.equal(sample["moving"], sample["fixed"])


@pytest.mark.parametrize("mode", ["gray", "laplacian"])
def test_workers_give_the_same_batches_epoch_after_epoch(tmp_path: Path, mode: str) -> None:
    """Also if this process has run OpenCV on several threads before, which do not survive a fork."""
    found = list_pairs(write_pairs(tmp_path, 5))
    data = {part: PairDataset(found, (48, 64), mode, True, 0, part) for part in ("train", "val")}
    cv2.setNumThreads(4)
    cv2.warpAffine(np.zeros((2000, 2000), np.uint8), np.eye(2, 3), (2000, 2000))
    loaders = [BatchLoader(data, workers, torch.device("cpu")) for workers in (0, 2)]
    try:
        for split, epoch in (("train", 0), ("val", 0), ("train", 1)):
            keys = [[(epoch, 3), (epoch, 1)], [(epoch, 4)]]
            alone, helped = (list(loader.batches(split, keys)) for loader in loaders)
            assert [len(batch["theta"]) for batch in helped] == [2, 1]
            for one, other in zip(alone, helped, strict=True):
                assert all(torch.equal(one[name], other[name]) for name in ("moving", "fixed", "theta"))
                assert one["moving"].dtype == torch.float32
    finally:
        cv2.setNumThreads(1)
        for loader in loaders:
            loader.close()


def test_levels_become_what_network_input_gives() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    expected = network_input(np.tile(np.arange(256, dtype=np.uint8), (16, 1)), (16, 256))[0, 0, 0]
    assert np.array_equal(to_float(levels).numpy(), expected)
    assert to_float(torch.tensor([0.5])).item() == 0.5


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_vanishes_meanwhile_is_named_in_few_words(tmp_path: Path, workers: int) -> None:
    found = list_pairs(write_pairs(tmp_path, 3))
    loader = BatchLoader({"train": PairDataset(found, (48, 64), "gray", True, 0)}, workers, torch.device("cpu"))
    found[1].rgb.unlink()
    message = r"^cannot read image .*01\.png \(No such file or directory\)$"
    with closing(loader), pytest.raises(InputError, match=message):
        list(loader.batches("train", [[(0, 0)], [(0, 2), (0, 1)]]))
