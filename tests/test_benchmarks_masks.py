"""The benchmark of mask losses from end to end on two pairs and hardly any steps."""

import json
from pathlib import Path

import pytest

from benchmarks import masks
from vr.runtime.mask import dice


def test_pairs_are_drawn_as_the_group_says() -> None:
    for overlap in (False, True):
        (pair,) = masks.draw_pairs(1, overlap)
        assert (dice(pair.ir > 0, pair.rgb > 0) > 0.0) == overlap == (pair.dice_before > 0.0)
        assert 0.85 <= pair.dice_truth <= 1.0
        assert pair.ir.shape == pair.rgb.shape == masks.FRAME_HW


def test_the_report_has_every_loss_and_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "masks.json"
    masks.main(["--pairs", "2", "--steps", "1", "--out", str(out)])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["machine"]["cores"] > 0 and report["steps"] == 1
    for group in report["groups"].values():
        assert group["pairs"] == 1
        for loss in masks.LOSSES:
            assert 0.0 <= group[loss]["dice_worst"] <= group[loss]["dice_after"] <= 1.0
            assert group[loss]["converged"] in (0.0, 1.0)
    assert report["groups"]["no overlap"]["dice_before"] == 0.0
    assert "dice" in capsys.readouterr().out
