"""`vr-live --config` and `--print-config`: files of options, their mistakes, and the way back."""

import tomllib
from pathlib import Path

import pytest

from tests.live_command import vr_live
from tests.live_models import write_theta_model
from vr.runtime.config import read_config
from vr.runtime.config_text import config_text
from vr.runtime.errors import InputError, Mistakes
from vr.runtime.live_options import DEFAULTS, RunOptions, run_options, with_values
from vr.runtime.options import OPTIONS
from vr.runtime.pairs import gather, live_options

SIM = "sim:size=160x120"


def write_toml(folder: Path, text: str, name: str = "rig.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_sets_everything_and_the_command_line_comes_before_it(tmp_path: Path) -> None:
    write_theta_model(tmp_path / "m.onnx", confidence=0.9)
    (tmp_path / "elsewhere").mkdir()
    text = f'ir = "{SIM}"\nrgb = "{SIM}"\nmodel = "m.onnx"\nwindow = false\nframes = 9\ntransforms = "t.jsonl"\n'
    toml = write_toml(tmp_path, text)
    ended = vr_live("--config", toml, "--frames", 4)
    assert (ended.code, ended.err) == (0, "") and "no display" not in ended.out
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 4


def test_flags_of_a_file_can_be_taken_back(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, "quiet = true\noverwrite = true\nir_16bit = true\n")
    values, _ = gather({"config": toml, "overwrite": False})
    assert (values["overwrite"], values["ir_16bit"], run_options(values)) == (False, True, RunOptions(quiet=True))
    shown = vr_live("--config", toml, "--no-overwrite", "--print-config").out
    assert "\noverwrite = false\n" in shown and "\nquiet = true\n" in shown


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    text = 'ir = 1\nrgb = "clip.mp4"\nmodel = "small"\nestimate_every = 3\nfps = 25\nrecord = "/data/a.mp4"\n'
    config = read_config(write_toml(tmp_path, text))
    assert config.values == {
        "ir": "1",
        "rgb": str(tmp_path / "clip.mp4"),
        "model": Path("small"),
        "estimate_every": "3",
        "fps": 25.0,
        "record": Path("/data/a.mp4"),
    }
    assert isinstance(config.values["fps"], float)


MISTAKES = {
    "alhpa = 1": "unknown key 'alhpa'; did you mean alpha?",
    "no_window = true": "unknown key 'no_window'; did you mean window?",
    "ir-16bit = true": "unknown key 'ir-16bit'; did you mean ir_16bit?",
    "zzz = 1": "unknown key 'zzz'; expected ir, rgb,",
    "alpha = 3": "alpha is 3; expected 0 (RGB alone) to 1 (IR alone)",
    "alpha = 'half'": "alpha is 'half'; expected a number",
    "frames = 2.5": "frames is 2.5; expected a whole number",
    "frames = 0": "frames is 0; expected 1 or more",
    "window = 1": "window is 1; expected true or false",
    "threads = true": "threads is True; expected a whole number",
    "rig = 'loose'": "unknown rig 'loose'; expected one of fixed, moving, free",
    "provider = 'gpu'": "unknown provider 'gpu'; expected one of auto, cpu",
    "estimate_every = 'often'": "estimate_every is 'often'; expected auto, or every how many pairs, from 1",
    "ir_threshold = 300": "ir_threshold is '300'; expected auto, or a level from 0 to 255",
    "slop_ms = -1.5": "slop_ms is '-1.5'; expected auto, or 0 or more",
    "ir_offset_ms = 'late'": "ir_offset_ms is 'late'; expected auto, or a number",
    "[cameras]": "[cameras] is no part of such a file",
    "record = 3": "record is 3; expected a text",
    "ir = ['rtsp://ada:secret@host/']": "ir is a list; expected a text",
    "name = 'gate'": "name belongs into a [[pair]]",
    "config = 'a.toml'": "config can be given on the command line alone, as --config",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(Mistakes) as caught:
        read_config(write_toml(tmp_path, line + "\n"))
    (message,) = caught.value.messages
    assert message.startswith(f"{tmp_path / 'rig.toml'}: {MISTAKES[line]}") and "secret" not in message


def test_all_mistakes_are_reported_in_a_line_each(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, "alpha = 3\nframes = 'all'\n[[pair]]\nir = '0'\nthreads = 2\nview = 'both'\n")
    ended = vr_live("--config", toml)
    assert ended.code == 2 and ended.out == ""
    assert [line.removeprefix(f"error: {toml}").partition(";")[0] for line in ended.err.splitlines()] == [
        ": alpha is 3",
        ": frames is 'all'",
        ", pair 1: threads holds for all pairs",
        ", pair 1: unknown view 'both'",
        ", pair 1 has no rgb",
    ]


def test_pairs_may_stand_in_the_file_or_in_one_of_their_own(tmp_path: Path) -> None:
    pair = f'[[pair]]\nir = "{SIM}"\nrgb = "{SIM}"\n'
    rig = write_toml(tmp_path, f"alpha = 0.5\nslop_ms = 20\n{pair}alpha = 0.7\n")
    (one,) = live_options(*gather({"config": rig, "alpha": 0.1, "slop_ms": "30"}))
    assert (one.alpha, one.slop_ms, one.name) == (0.7, "30", "1")
    pairs = write_toml(tmp_path, f"slop_ms = 40\n{pair}{pair}", "pairs.toml")
    values, tables = gather({"config": rig, "pairs": pairs})
    assert [(options.name, options.alpha, options.slop_ms) for options in live_options(values, tables)] == [
        ("1", 0.7, "40"),
        ("2", 0.5, "40"),
        ("3", 0.5, "40"),
    ]
    with pytest.raises(InputError, match="exclude"):
        gather({"config": rig, "ir": "0", "rgb": "1"})


def test_the_printed_file_is_the_defaults_and_is_accepted(tmp_path: Path) -> None:
    text = vr_live("--print-config").out
    config = read_config(write_toml(tmp_path, text))
    assert (config.values, config.pairs) == ({}, [])
    for key, option in OPTIONS.items():
        assert not option.in_files or (f"\n#{key} = " in text and option.help.split()[0] in text)


def test_what_is_commented_out_are_defaults_and_examples_that_work(tmp_path: Path) -> None:
    lines = [line[1:] if line[:2] not in ("# ", "#") else line for line in config_text({}, []).splitlines()]
    config = read_config(write_toml(tmp_path, "\n".join(lines)))
    without_default = {key for key, option in OPTIONS.items() if option.example is not None}
    rest = {key: value for key, value in config.values.items() if key not in without_default}
    assert (with_values(DEFAULTS, rest), run_options(rest)) == (DEFAULTS, RunOptions())
    assert set(config.values) == {key for key, option in OPTIONS.items() if option.in_files}
    assert set(config.pairs[0].values) == {key for key in without_default if OPTIONS[key].pair}


def test_what_is_given_comes_back_from_any_folder(tmp_path: Path) -> None:
    pair = f'[[pair]]\nname = "ga\\"te"\nir = "{SIM}"\nrgb = "clip.mp4"\nrecord = "a.mp4"\n'
    rig = write_toml(tmp_path, f'alpha = 0.5\nsegmenter = "p.onnx"\nmode = "mask"\nmodel = "clean"\n{pair}')
    printed = vr_live("--config", rig, "--threads", 3, "--no-window", "--print-config").out
    (tmp_path / "other").mkdir()
    again = gather({"config": write_toml(tmp_path / "other", printed)})
    assert live_options(*again) == live_options(*gather({"config": rig, "threads": 3, "window": False}))
    assert tomllib.loads(printed)["pair"][0]["name"] == 'ga"te'


def test_what_cannot_be_run_is_not_printed() -> None:
    ended = vr_live("--print-config", "--alpha", 3)
    assert (ended.code, ended.out) == (2, "") and "--alpha is 3" in ended.err
