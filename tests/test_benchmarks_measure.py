"""The measuring tools themselves: figures of known distributions, and the README's table."""

import json
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from benchmarks import table
from benchmarks.measure import machine_facts, measure, summarise
from benchmarks.table_accuracy import render_accuracy
from benchmarks.table_cards import update_card

MACHINE = {"cpu": "Test CPU", "cores": 2, "load_1min": 0.1, "commit": "abc", "date": "2026-01-02"}
MACHINE |= {"onnxruntime": "1.31.1", "torch": "2.13.0"}
NETWORK = {"name": "match", "runtime": "onnxruntime cpu", "height_x_width": "240x320", "fps": 100.4}
NETWORK |= {"median_ms": 9.96, "p95_ms": 11.0, "times_thesis": 4.21, "size_mb": 1.5}
SPEED = {"network": {"machine": MACHINE, "short": False, "rows": [NETWORK]}}


def test_summary_of_known_times() -> None:
    timing = summarise([float(ms) for ms in range(1, 101)])
    assert timing.median_ms == 50.5
    assert timing.iqr_ms == pytest.approx(49.5)
    assert timing.p95_ms == pytest.approx(95.05)
    assert timing.fps == pytest.approx(1000 / 50.5)


def test_warm_up_calls_are_not_timed() -> None:
    calls = count()
    timing = measure(lambda: next(calls), calls=30, warm_up=7)
    assert timing.calls == 30
    assert next(calls) == 37


def test_slow_calls_stop_at_the_limit_but_not_before_ten() -> None:
    assert measure(lambda: None, calls=1000, warm_up=0, limit_s=0.0).calls == 10


def test_machine_facts_name_processor_commit_and_versions() -> None:
    facts = machine_facts()
    assert {"cpu", "cores", "commit", "date", "python", "numpy"} <= set(facts)
    assert facts["numpy"] == np.__version__


def test_table_stands_between_the_markers_and_is_stable(tmp_path: Path) -> None:
    readme = "# Title\n<!-- speed:begin -->\nold\n<!-- speed:end -->\nrest\n"
    (tmp_path / "speed.json").write_text(json.dumps(SPEED))
    once = table.update(readme, tmp_path)
    assert "| match | onnxruntime cpu | 240x320 | 100 | 10.0 | 11.0 | 4.2 | 1.5 |" in once
    assert "old" not in once
    assert once.startswith("# Title\n")
    assert once.endswith("\nrest\n")
    assert table.update(once, tmp_path) == once


def one_method(median_px: float | None) -> dict[str, object]:
    shares = {"1": 0.25, "3": 0.5, "5": 0.75, "10": 1.0}
    counts = {"refused": 1, "refused_though_good": 2, "confidently_wrong": 0}
    return {"pairs": 4, "median_px": median_px, "below_px": shares, "median_ms": 7.04, **counts}


def accuracy_result(median_px: float | None = 2.345) -> dict[str, object]:
    video = {"videos": 3, "median_px": 0.5, "jitter_rms_px": 0.04, "jitter_p95_px": 0.06, "held": 2, "refused": 0}
    knocked = {"videos": 3, "recovery_median_s": 0.88, "recovery_worst_s": None, "within_2_s": 0.5}
    return {
        "machine": MACHINE,
        "models": {"ours": {"run": "r-1"}},
        "protocol_s": {"all": {"ours": one_method(median_px)}, "dark half": {}, "tno": {"ours": one_method(1.0)}},
        "wide": {"ours": one_method(3.0)},
        "hopeless": {"ours": {"black, IR": {"pairs": 4, "refused": 1.0}, "all": {"pairs": 9, "refused": 0.889}}},
        "landmarks_px": {"ours": {"1": 0.914, "4": None}},
        "labels": {"pairs": 4, "agree": 3, "agree_but_off": 1, "median_off_px": 2.1},
        "video": {"ours": {"clips": video, "clips, knocked": knocked}},
    }


def test_accuracy_table_shows_shares_and_refusals() -> None:
    shown = render_accuracy(accuracy_result())
    assert "| all (4) | ours | 2.3 | 25 % | 50 % | 75 % | 100 % | 1 | 2 | 0 | 7.0 |" in shown
    assert "tno" not in shown
    assert (
        "On 3 of 4 pairs the default and the best hand-made method agree within 1 px; on 1 of these both are" in shown
    )
    assert "| ours | refused |" in render_accuracy(accuracy_result(None))


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("accuracy-controls", "| wider range (4) | ours | 3.00 |  | 25 % | 50 % | 75 % | 100 % | 0 |"),
        ("accuracy-hopeless", "| black, IR (4) | 100 % |"),
        ("accuracy-landmarks", "| ours | 0.91 | refused |"),
        ("accuracy-video", "| clips (3) | ours | 0.50 | 0.04 | 0.06 | 2 | 0 |  |  |"),
        ("accuracy-video", "| clips, knocked (3) | ours |  |  |  |  |  | 0.88 | never |"),
        ("accuracy-dense", "Not measured."),
    ],
)
def test_a_table_stands_where_a_page_has_its_markers(tmp_path: Path, name: str, row: str) -> None:
    (tmp_path / "accuracy.json").write_text(json.dumps(accuracy_result()))
    bare = "<!-- accuracy:begin -->\n<!-- accuracy:end -->\n"
    assert row not in table.update(bare, tmp_path)
    assert row in table.update(f"{bare}<!-- {name}:begin -->\n<!-- {name}:end -->\n", tmp_path)


def test_a_marker_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text(json.dumps(SPEED))
    with pytest.raises(ValueError, match="speed:begin"):
        table.update("<!-- speed:begin -->\n", tmp_path)


@pytest.mark.parametrize("name", table.TABLES)
def test_every_table_has_a_page(name: str) -> None:
    assert any(f"<!-- {name}:begin -->" in page.read_text(encoding="utf-8") for page in table.pages())


def test_cards_say_what_was_measured_of_their_model() -> None:
    card = "# Card\n<!-- figures:begin -->\nold\n<!-- figures:end -->\n## Limits"
    updated = update_card(card, accuracy_result(), "ours")
    assert "old" not in updated
    assert updated.endswith("<!-- figures:end -->\n## Limits")
    assert "| all | 4 | 2.3 | 50 % | 75 % | 100 % | 1 | 2 | 0 |" in updated
    assert "| wide range | 4 | 3.0 |" in updated
    assert "of 2 real misaligned pairs, px at 320 px width: 0.91, refused." in updated
    assert "89 % of 9 hopeless pairs refused." in updated
    assert update_card(card, accuracy_result(), "another") == card


BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"


@pytest.mark.parametrize("readme", ["nothing", f"{END}\n{BEGIN}", BEGIN * 2 + END])
def test_a_page_without_its_markers_is_refused(readme: str) -> None:
    with pytest.raises(ValueError, match="speed:begin"):
        table.insert_table(readme, "speed", "table")
