"""The table of keys: what each press leaves in the controls, what it asks others for, and that the docs list it."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vr.runtime import keys
from vr.runtime.controls import SETTINGS, Controls, Settings
from vr.runtime.errors import OutputError
from vr.runtime.keys import KEY_HELP, KEYS, Actions, press
from vr.runtime.sinks.window import store_snapshot
from vr.runtime.sinks.window_keys import key_name, with_help, with_message
from vr.runtime.style import VIEWS
from vr.runtime.thermal.palettes import DISPLAY

NAMES = [name for key in KEYS for name in key.names]


def controls(**values: object) -> Controls:
    made = Controls(models=("small", "dense"))
    made.change(values)
    return made


def test_no_key_means_two_things() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(len(text) < 60 and label for label, text in KEY_HELP)


@pytest.mark.parametrize(
    ("forward", "back", "setting", "names"),
    [
        ("v", "V", "view", VIEWS),
        ("v", "b", "view", VIEWS),
        ("p", "P", "palette", DISPLAY),
        ("p", "o", "palette", DISPLAY),
    ],
)
def test_v_and_p_go_through_all_and_around(forward: str, back: str, setting: str, names: tuple[str, ...]) -> None:
    one = controls()
    seen = [getattr(one.settings, setting)]
    for _ in names:
        said = press(forward, one, Actions())
        seen.append(getattr(one.settings, setting))
        assert said == f"{setting} {seen[-1]}"
    assert seen == [*names, names[0]]
    press(back, one, Actions())
    assert getattr(one.settings, setting) == names[-1]


def test_m_goes_through_the_models() -> None:
    one = controls()
    seen = [one.settings.model]
    for _ in range(3):
        press("m", one, Actions())
        seen.append(one.settings.model)
    assert seen == ["default", "small", "dense", "default"]


@pytest.mark.parametrize("number", range(1, 10))
def test_digits_are_the_views_in_order(number: int) -> None:
    one = controls()
    press(str(number), one, Actions())
    assert one.settings.view == VIEWS[number - 1]


@pytest.mark.parametrize(
    ("more", "less", "setting", "low", "high", "step"),
    [("+", "-", "alpha", 0, 1, 0.05), (".", ",", "split", 0, 1, 0.02), ("]", "[", "ir_above", 0, 255, 5)],
)
def test_steps_end_at_the_ends(more: str, less: str, setting: str, low: float, high: float, step: float) -> None:
    one = controls(**{setting: high})
    values: list[float] = []
    for _ in range(round((high - low) / step) + 2):
        values.append(getattr(one.settings, setting))
        press(less, one, Actions())
    np.testing.assert_allclose(values, np.clip(high - step * np.arange(len(values)), low, high), atol=1e-5)
    press(more, one, Actions())
    assert getattr(one.settings, setting) == pytest.approx(low + step)


@pytest.mark.parametrize("key", ["Space", "e"])
def test_holding_and_estimating_in_turn(key: str) -> None:
    one = controls()
    assert [press(key, one, Actions()) for _ in range(3)] == ["follow hold", "follow estimate", "follow hold"]
    one.change({"theta": [1, 0, 0, 0, 1, 0], "follow": "hand"})
    press(key, one, Actions())
    assert one.settings.follow == "estimate" and one.settings.theta is not None


def test_n_forgets_the_hand() -> None:
    one = controls(theta=[1, 0, 0.1, 0, 1, 0], follow="hand")
    press("n", one, Actions())
    assert one.settings == Settings()


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("Left", ((-1.0, 0.0), 0.0, 1.0)),
        ("Right", ((1.0, 0.0), 0.0, 1.0)),
        ("Up", ((0.0, -1.0), 0.0, 1.0)),
        ("Down", ((0.0, 1.0), 0.0, 1.0)),
        ("<", ((0.0, 0.0), -0.25, 1.0)),
        (">", ((0.0, 0.0), 0.25, 1.0)),
        ("{", ((0.0, 0.0), 0.0, 1 / 1.005)),
        ("}", ((0.0, 0.0), 0.0, 1.005)),
    ],
)
def test_moving_by_hand_is_asked_of_others(key: str, asked: tuple[tuple[float, float], float, float]) -> None:
    moves: list[tuple[tuple[float, float], float, float]] = []
    press(key, controls(), Actions(nudge=lambda *move: moves.append(move)))
    assert moves == [asked]


def test_what_is_not_there_is_said_and_errors_are_lines() -> None:
    def fails() -> str:
        raise OutputError("cannot write x.png: disk full")

    one = controls()
    for key in ("h", "s", "r", "q", "Esc", "Left", ">"):
        assert press(key, one, Actions()) == keys.NOT_HERE
    assert press("s", one, Actions(snapshot=fails)) == "cannot write x.png: disk full"
    assert press("r", one, Actions(toggle_recording=lambda: "recording")) == "recording"
    assert press("q", one, Actions(quit=lambda: True)) is None
    assert press("x", one, Actions()) is None and press("", one, Actions()) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(NAMES), max_size=60))
def test_any_keys_leave_settings_that_can_be(pressed: list[str]) -> None:
    one = controls()
    for key in pressed:
        press(key, one, Actions())
    held = dataclasses.asdict(one.settings)
    controls().change({key: held[key] for key in SETTINGS})


@pytest.mark.parametrize(
    ("code", "name"),
    [
        *((ord(name), name) for name in NAMES if len(name) == 1),
        *((65361, "Left"), (65362, "Up"), (65363, "Right"), (65364, "Down")),
        *((0x250000, "Left"), (0x260000, "Up"), (0x270000, "Right"), (0x280000, "Down")),
        *((63234, "Left"), (63232, "Up"), (63235, "Right"), (63233, "Down")),
        *((27, "Esc"), (32, "Space"), (-1, None), (0, None), (13, None), (65505, None), (65535, None)),
        *((0x100000 | ord("v"), "v"), (0x110000 | ord("V"), "V"), (0x100000 | 65361, "Left")),
    ],
)
def test_codes_of_the_window(code: int, name: str | None) -> None:
    """Of X11, Windows and macOS; with Num Lock on GTK."""
    assert key_name(code) == name


@pytest.mark.parametrize("size_hw", [(16, 16), (120, 160), (480, 640), (480, 1280), (1080, 1920), (900, 200)])
def test_the_list_of_keys_fits_and_every_row_is_written(size_hw: tuple[int, int]) -> None:
    picture = np.full((*size_hw, 3), 255, np.uint8)
    shown = with_help(picture)
    assert (picture == 255).all() and shown.shape[0] >= 480
    assert shown.shape[1] / shown.shape[0] == pytest.approx(size_hw[1] / size_hw[0], rel=0.01)
    bright = shown.max(axis=2) > 128
    edge = round(0.03 * shown.shape[0])
    assert not bright[:edge].any() and not bright[-edge:].any() and not bright[:, -edge:].any()
    if size_hw[1] >= size_hw[0]:
        lines = np.diff(np.flatnonzero(bright.any(axis=1))) > 1
        assert lines.sum() >= 0.7 * len(KEY_HELP), "rows apart from each other"


def test_a_message_stands_in_the_picture() -> None:
    picture = np.full((240, 320, 3), 120, np.uint8)
    shown = with_message(picture, "view split")
    rows = np.flatnonzero((shown != 120).any(axis=(1, 2)))
    assert rows.min() >= 190 and rows.max() < 220 and (picture == 120).all()


def test_snapshots_never_replace_anything(tmp_path: Path) -> None:
    pictures = [np.full((20, 30, 3), level, np.uint8) for level in range(4)]
    paths = [store_snapshot(picture, tmp_path, "gate/../1") for picture in pictures]
    assert len(set(paths)) == 4 and sorted(tmp_path.iterdir()) == sorted(paths)
    assert all(path.name.startswith("gate-1-2") and path.name.split(".")[0][-1] in "Z234" for path in paths)
    for path, picture in zip(paths, pictures, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(path)), picture)
    with pytest.raises(OutputError, match="cannot write"):
        store_snapshot(pictures[0], tmp_path / "nowhere")
    with pytest.raises(OutputError, match="cannot write"):
        store_snapshot(pictures[0], Path("/proc"))
