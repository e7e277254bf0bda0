"""The ablation benchmark from end to end on tiny data; that it goes on where it stopped; its table."""

import json
from pathlib import Path

import pytest

from benchmarks import ablation
from benchmarks.table_accuracy import render_ablation
from tests.helpers import write_pairs


@pytest.fixture
def two_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("full recipe", "no real pairs (generated scenes alone)")
    monkeypatch.setattr(ablation, "VARIANTS", {name: ablation.VARIANTS[name] for name in names})


def test_variants_are_trained_measured_and_not_trained_again(
    two_variants: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "data" / "mine", 3)
    (tmp_path / "held_out.json").write_text(json.dumps({"mine": ["00"]}), encoding="utf-8")
    out = tmp_path / "ablation.json"
    words = [str(tmp_path / "data"), "--steps", "1", "--scenes", "2", "--out", str(out)]
    words += ["--held-out", str(tmp_path / "held_out.json")]
    ablation.main(words)
    report = json.loads(out.read_text(encoding="utf-8"))
    assert list(report["variants"]) == list(ablation.VARIANTS)
    assert all(one["pairs"] == 1 for one in report["variants"].values())
    assert "full recipe" in capsys.readouterr().out
    ablation.main(words)
    assert "full recipe" not in capsys.readouterr().out
    table = render_ablation(report)
    assert "| full recipe |" in table
    assert "1 steps, 2 generated scenes" in table
