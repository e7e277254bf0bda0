"""Settings over restarts: what was changed is there again, what the command line says comes first."""

import json
from pathlib import Path

import pytest

from vr.runtime.controls import Controls, Settings
from vr.runtime.errors import InputError
from vr.runtime.kept import keeping, kept_file, read_kept
from vr.runtime.live_options import LiveOptions

AFFINE = (0.9, 0.1, 0.05, -0.1, 0.9, 0.0)


def run(path: Path, changes: dict[str, object], given: frozenset[str] = frozenset(), alpha: float = 0.35) -> Settings:
    """A run that begins with what is in `path`, and changes something; returns what it began with."""
    options = LiveOptions("a", "b", keep=path, alpha=alpha)
    controls = Controls(Settings.of(options), ("small",))
    with keeping(controls, options, False, given, lambda _text: None):
        began = controls.settings
        controls.change(changes)
    return began


def test_what_was_changed_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rig.json"
    run(path, {"alpha": 0.8, "view": "split", "theta": AFFINE, "follow": "hand", "model": "small"})
    began = run(path, {})
    assert (began.alpha, began.view, began.follow, began.theta, began.model) == (0.8, "split", "hand", AFFINE, "small")


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    run(path, {"alpha": 0.8})
    assert json.loads(path.read_text()) == {"alpha": 0.8}
    run(path, {"alpha": 0.35})
    assert read_kept(path) == {}


def test_the_command_line_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    run(path, {"alpha": 0.8, "view": "split"})
    began = run(path, {}, frozenset({"alpha"}), alpha=0.1)
    assert (began.alpha, began.view) == (0.1, "split")


def test_a_hold_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    run(path, {"follow": "hold", "alpha": 0.8})
    assert run(path, {}).follow == "estimate"


def test_what_cannot_be_any_more_is_left_out_and_said(tmp_path: Path) -> None:
    path, said = tmp_path / "rig.json", []
    path.write_text(json.dumps({"model": "gone.onnx", "alpha": 0.8, "view": "old", "unknown": 1}))
    options = LiveOptions("a", "b", keep=path)
    controls = Controls(Settings.of(options))
    with keeping(controls, options, True, (), said.append):
        assert controls.settings.alpha == 0.8 and controls.settings.model == "default"
    assert len(said) == 2 and "gone.onnx" in said[0] + said[1]


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, "x" * 70_000, "\x00"])
def test_a_damaged_file_is_named_and_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rig.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"rig\.json"):
        run(path, {"alpha": 0.9})
    assert path.read_text() == text


def test_each_rig_has_its_own_file_without_passwords(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one = kept_file(LiveOptions("rtsp://u:one@h/ir", "0"))
    assert one is not None and one.parent == tmp_path / "vr-live"
    assert one == kept_file(LiveOptions("rtsp://u:two@h/ir", "0"))
    assert one != kept_file(LiveOptions("rtsp://u:one@h/ir", "1"))
    assert kept_file(LiveOptions("0", "1", keep=Path("none"))) is None


def test_nothing_is_kept_where_nobody_can_change_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    options = LiveOptions("a", "b")
    controls = Controls(Settings.of(options))
    with keeping(controls, options, False, (), lambda _text: None):
        controls.change({"alpha": 0.9})
    assert not list(tmp_path.iterdir())
