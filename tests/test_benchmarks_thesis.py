"""The reproduction of the thesis on hardly any pairs: its data, its settings, going on, table and picture."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from benchmarks import thesis, thesis_report, thesis_rows
from benchmarks.thesis_rows import Experiment, experiments, group_figures, settings
from benchmarks.thesis_scenes import DataSet, draw_scene, true_dice, write_data_set
from tests.helpers import REPOSITORY
from vr.runtime.contours import FILTERS
from vr.runtime.mask import dice
from vr.train.data import list_pairs, read_mask
from vr.train.evaluate.rows import Row

MASKS = DataSet("many", one_rig=False, apart_half=True, train=3, val=1, test=4)


def test_half_of_the_test_masks_lie_apart_and_no_scene_is_in_two_parts(tmp_path: Path) -> None:
    folder = write_data_set(tmp_path, MASKS)
    pairs = list_pairs(folder / "masks")
    assert [pair.part for pair in pairs] == ["test"] * 4 + ["train"] * 3 + ["val"]
    overlap = [dice(read_mask(pair.ir) > 0, read_mask(pair.rgb) > 0) > 0 for pair in pairs[:4]]
    assert overlap == [False, True, False, True]
    contents = {path.read_bytes() for path in (folder / "rgb").iterdir()}
    assert len(contents) == 8
    truth = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    assert {line["stem"] for line in truth} == {pair.stem for pair in pairs}
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    write_data_set(tmp_path, MASKS)
    assert times == {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_one_rig_is_nearly_the_same_in_every_scene() -> None:
    found = [scene for scene in map(lambda seed: draw_scene(seed, True), range(8)) if scene is not None]
    assert len(found) > 3
    for scene in found:
        assert abs(scene.truth[:, 2] - found[0].truth[:, 2]).max() < 25.0
        assert true_dice(scene.ir_mask, scene.rgb_mask, scene.truth) >= 0.85


def test_every_input_is_trained_both_ways() -> None:
    names = [one.name for one in experiments()]
    assert len(names) == len(set(names))
    for mode in ("gray", *FILTERS, "mask"):
        assert {f"{mode}-affine-thesis", f"{mode}-affine-ours"} <= set(names)
    assert "mask-many-rigs-voxelmorph-1-thesis" in names
    old, new = (settings(Experiment("mask", "voxelmorph", 0.6, way, many_rigs=True), 3) for way in ("thesis", "ours"))
    assert (old.similarity, old.pyramid_levels, old.augment, old.integration_steps) == ("mse", 1, False, 0)
    assert (new.similarity, new.augment, new.integration_steps) == ("dice", True, 7)
    assert not settings(Experiment("mask", "voxelmorph", 0.6, "ours"), 3).augment
    losses = [settings(Experiment(mode, "affine", None, "ours"), 3).similarity for mode in ("gray", "sobel", "canny")]
    assert losses == ["ngf", "ngf", "dice"]
    assert old.lambda_smooth == new.lambda_smooth == 0.6 and old.epochs == new.epochs == 3


def test_a_pair_has_converged_if_its_masks_meet_as_under_the_true_rig() -> None:
    def row(after: float | None) -> Row:
        state = "refused" if after is None else "estimated"
        return Row("s", state, None, 1.0, error_before_px=9.0, error_px=after, dice_before=0.0, dice=after)

    found = group_figures([(row(0.9), 1.0), (row(0.85), 0.94), (row(0.8), 1.0), (row(None), 1.0)])
    assert found is not None
    assert found["converged"] == 0.5 and found["refused"] == 1
    assert group_figures([]) is None


def test_experiments_are_run_once_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = thesis_rows.SHORT
    tiny = replace(short, one_rig=replace(short.one_rig, train=2, val=1, test=2), many_rigs=MASKS)
    monkeypatch.setattr(thesis_rows, "SHORT", tiny)
    path = tmp_path / "thesis.json"
    first = thesis.run_all(tmp_path, path, is_short=True, only="mask-many-rigs-voxelmorph-0.6")
    assert list(first["experiments"]) == ["mask-many-rigs-voxelmorph-0.6-thesis", "mask-many-rigs-voxelmorph-0.6-ours"]
    one = first["experiments"]["mask-many-rigs-voxelmorph-0.6-ours"]
    assert one["all"]["pairs"] == 4 and one["apart"]["pairs"] == 2 and one["apart"]["dice_before"] == 0.0
    assert first["rig_itself"]["all"]["error_px"] < 12.0 < first["rig_itself"]["all"]["error_before_px"]
    assert json.loads(path.read_text()) == first
    monkeypatch.setattr(thesis_rows, "fit", None)
    again = thesis.run_all(tmp_path, path, is_short=True, only="mask-many-rigs-voxelmorph-0.6")
    assert again["experiments"] == first["experiments"]
    fits = json.loads((REPOSITORY / "benchmarks" / "results" / "masks.json").read_text())
    assert thesis_report.render(first).count("| mask, many rigs | VoxelMorph, lambda 0.6 |") == 2
    amortised = thesis_report.render_amortised(first, fits)
    assert "| descent on each pair: affine | ours | 0.96 | 100% | 0.94 | 95% |" in amortised
    assert amortised.count("| network: VoxelMorph, lambda 0.6 |") == 2
    thesis_report.draw(first, tmp_path / "thesis.png")
    picture = cv2.imread(str(tmp_path / "thesis.png"))
    assert picture is not None and picture.shape[1] > 1000
