"""The log of `vr-live`: where it goes, what it looks like, and that it does not flood."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_command import vr_live, write_images
from tests.live_models import write_theta_model
from vr.runtime.errors import InputError, OutputError
from vr.runtime.live_options import RunOptions
from vr.runtime.logs import NoFlood, logging_to, reopen_logs

SIM = "sim:size=160x120"
LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) vr\.[\w.]+: .+"


def record(message: str, *arguments: object, name: str = "vr.camera.ir") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "file", 1, message, arguments, None)


def test_a_repeated_message_is_said_once_and_then_counted_once_a_minute() -> None:
    now_s: Iterator[float] = iter([*(i * 0.5 for i in range(119)), 59.0, 60.0, 60.5, 120.0, 1000.0])
    flood = NoFlood(clock=lambda: next(now_s))
    passed: list[str] = []
    for number in range(124):
        one = record("no frame for %d s", number)
        if flood.filter(one):
            passed.append(one.getMessage())
    assert passed == [
        "no frame for 0 s",
        "no frame for 120 s (119 more since the last time)",
        "no frame for 122 s (1 more since the last time)",
        "no frame for 123 s",
    ]


def test_other_messages_and_other_cameras_are_not_held_back() -> None:
    flood = NoFlood(clock=lambda: 5.0)
    assert flood.filter(record("lost")) and flood.filter(record("back"))
    assert flood.filter(record("lost", name="vr.camera.rgb")) and not flood.filter(record("lost"))
    for number in range(5000):
        flood.filter(record(f"message {number}"))
    assert len(flood._seen) <= 1000, "memory does not grow without end"


def test_text_and_json_and_no_secret(tmp_path: Path) -> None:
    for kind in ("text", "json"):
        path = tmp_path / kind
        with pytest.raises(ZeroDivisionError), logging_to(RunOptions(log_file=path, log_format=kind), ["s3cret"]):
            logging.getLogger("vr.camera.ir").warning("cannot open %s", "rtsp://ada:s3cret@host/")
            logging.getLogger("vr.live").debug("too fine")
            raise ZeroDivisionError("with s3cret in it")
        text = path.read_text()
        assert "s3cret" not in text and "rtsp://ada:***@host/" in text and "too fine" not in text
        assert "ZeroDivisionError: with *** in it" in text, "a fault of the package keeps its traceback"
    first, *_ = (tmp_path / "text").read_text().splitlines()
    assert re.fullmatch(LINE, first) and "WARNING vr.camera.ir: " in first
    entries = [json.loads(line) for line in (tmp_path / "json").read_text().splitlines()]
    assert [set(entry) for entry in entries] == [{"time", "level", "logger", "message"}, {*entries[0], "traceback"}]
    assert (entries[0]["level"], entries[0]["logger"]) == ("warning", "vr.camera.ir")


def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "vr.log"
    with logging_to(RunOptions(log_file=path)):
        logging.getLogger("vr.live").info("one")
        path.rename(tmp_path / "vr.log.1")
        reopen_logs()
        logging.getLogger("vr.live").info("two")
    assert "one" in (tmp_path / "vr.log.1").read_text() and path.read_text().endswith("two\n")
    assert not logging.getLogger("vr").handlers


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        (RunOptions(), ["warning", "error"]),
        (RunOptions(log_level="debug"), ["debug", "info", "warning", "error"]),
        (RunOptions(quiet=True), ["error"]),
    ],
)
def test_without_a_file_warnings_go_to_stderr(
    run: RunOptions, shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_to(run):
        for level in ("debug", "info", "warning", "error"):
            logging.getLogger("vr.live").log(getattr(logging, level.upper()), level)
    assert [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()] == shown


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "a.log"):
        with pytest.raises(OutputError), logging_to(RunOptions(log_file=path)):
            pass
    with pytest.raises(InputError, match="unknown --log-level 'loud'"):
        RunOptions(log_level="loud").check()


def test_a_full_disk_ends_the_log_and_not_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(RunOptions(log_file=Path("/dev/full"))):
        for number in range(3):
            logging.getLogger("vr.live").info("message %d " + "x" * number, number)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "/dev/full" in err and "No space left" in err


def test_a_run_logs_what_it_says_and_how_it_ends(tmp_path: Path) -> None:
    model = write_theta_model(tmp_path / "m.onnx", confidence=0.9)
    common = ("--rgb", SIM, "--model", model, "--no-window", "--log-file", tmp_path / "vr.log")
    ended = vr_live("--ir", SIM, *common, "--frames", 3)
    assert (ended.code, ended.err) == (0, "")
    lines = (tmp_path / "vr.log").read_text().splitlines()
    assert all(re.fullmatch(LINE, line) for line in lines)
    assert any("provider: cpu" in line for line in lines) and "status ended: ended, 3 frames" in lines[-1]
    images = write_images(tmp_path / "bad", 2, (96, 128))
    (images / "1.png").write_bytes(b"damaged")
    ended = vr_live("--ir", images, "--rgb", images, *common[2:])
    last = (tmp_path / "vr.log").read_text().splitlines()
    assert ended.code == 2 and len(last) > len(lines), "a log is continued"
    assert "ERROR vr.live: cannot read" in last[-1] and "1.png" in last[-1]
