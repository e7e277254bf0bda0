"""Images with masks: what is a data set, how it is split, and how it is changed in training."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.segmenter_folder import write_labelled
from vr.runtime.errors import InputError
from vr.runtime.segmenter import segmenter_input
from vr.train.data import read_image, read_mask
from vr.train.segmenter_augment import changed, resized_mask
from vr.train.segmenter_data import SegmenterDataset, check_labelled, list_labelled, split_labelled


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"), 10)


def test_the_split_is_in_contiguous_blocks(data: Path) -> None:
    split = split_labelled(list_labelled(data), 0.2, 0.1)
    assert [image.stem for image in split.train] == [f"{n:02d}" for n in range(7)]
    assert [image.stem for image in split.val] == ["07", "08"]
    assert [image.stem for image in split.test] == ["09"]


def test_a_manifest_says_which_part_an_image_belongs_to(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, 6)
    parts = ["test", "val", "train", "train", "val", "test"]
    lines = [{"stem": f"{n:02d}", "decision": "kept", "split": part} for n, part in enumerate(parts)]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    split = split_labelled(list_labelled(folder), 0.1, 0.1)
    assert [[image.stem for image in part] for part in (split.train, split.val, split.test)] == [
        ["02", "03"],
        ["01", "04"],
        ["00", "05"],
    ]


def test_without_augmentation_it_is_what_the_runtime_shows(data: Path) -> None:
    images = list_labelled(data)
    sample = SegmenterDataset(images, (32, 40), False, 0)[3, 2]
    expected = segmenter_input(read_image(images[2].image), (32, 40))[0]
    assert np.array_equal(sample["image"].numpy(), expected)
    assert np.array_equal(sample["person"].numpy(), resized_mask(read_mask(images[2].mask), (32, 40)))


def test_changes_follow_from_seed_epoch_and_image(data: Path) -> None:
    images = list_labelled(data)
    one, same, other = (SegmenterDataset(images, (48, 64), True, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(one[2, 4][name], same[2, 4][name]) for name in ("image", "person"))
    for sample in (one[3, 4], other[2, 4]):
        assert not np.array_equal(one[2, 4]["image"], sample["image"])


def test_image_and_mask_are_changed_alike() -> None:
    """A red person on a dark ground stays where the mask says, whatever is drawn."""
    frame, mask = np.full((120, 160, 3), 40, np.uint8), np.zeros((120, 160), np.uint8)
    cv2.ellipse(mask, (60, 70), (25, 45), 20, 0, 360, (1,), cv2.FILLED)
    cv2.circle(mask, (130, 30), 15, (1,), cv2.FILLED)
    frame[mask > 0] = (20, 20, 240)
    places: list[tuple[float, float]] = []
    for seed in range(60):
        image, person = changed(np.random.default_rng(seed), frame, mask, (96, 128))
        assert image.shape == (3, 96, 128) and person.shape == (96, 128) and set(np.unique(person)) <= {0, 1}
        red = image[0].astype(int) - image[2] > 60
        assert np.count_nonzero(red != (person > 0)) < 0.015 * person.size
        places.append((float(person.mean()), float(np.nonzero(person)[1].mean())))
    shares, columns = np.array(places).T
    assert np.ptp(shares) > 0.1 and np.ptp(columns) > 20, "nothing was drawn"


def test_a_grey_picture_stays_grey_in_training() -> None:
    gray = np.random.default_rng(0).integers(0, 255, (60, 80, 1), dtype=np.uint8).repeat(3, axis=2)
    image, _ = changed(np.random.default_rng(1), gray, np.zeros((60, 80), np.uint8), (48, 64))
    assert np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2])


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder with images/ and masks/"):
        list_labelled(tmp_path / "absent")
    no_masks = write_labelled(tmp_path / "no_masks", 3)
    for path in (no_masks / "masks").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"no \.jpg, \.jpeg, \.png image in .*masks"):
        list_labelled(no_masks)
    (no_masks / "masks").rmdir()
    with pytest.raises(InputError, match=r"no folder .*masks"):
        list_labelled(no_masks)
    lonely = write_labelled(tmp_path / "lonely", 3)
    (lonely / "masks" / "01.png").unlink()
    with pytest.raises(InputError, match=r"have no partner with the same stem: images/01"):
        list_labelled(lonely)


def test_bad_files_are_named_before_training(tmp_path: Path) -> None:
    sizes = write_labelled(tmp_path / "sizes", 4)
    cv2.imwrite(str(sizes / "masks" / "02.png"), np.zeros((48, 60), np.uint8))
    with pytest.raises(InputError, match=r"02\.png is 60x48 px, its image 02\.png is 64x48"):
        check_labelled(split_labelled(list_labelled(sizes), 0.2, 0.2))
    empty = write_labelled(tmp_path / "empty", 4)
    for path in (empty / "masks").iterdir():
        cv2.imwrite(str(path), np.zeros((48, 64), np.uint8))
    with pytest.raises(InputError, match="none of the 2 masks for train shows a person"):
        check_labelled(split_labelled(list_labelled(empty), 0.2, 0.2))
    broken = write_labelled(tmp_path / "broken", 4)
    (broken / "images" / "00.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"cannot read .*00\.png as an image"):
        check_labelled(split_labelled(list_labelled(broken), 0.2, 0.2))
