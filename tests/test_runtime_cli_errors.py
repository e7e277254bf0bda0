"""How a command ends: exit codes, and one line for what the user can repair."""

import pytest
import typer

from vr.runtime import cli_errors
from vr.runtime.errors import InputError, VrError


def end_of(error: BaseException, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    app = typer.Typer()

    @app.command()
    def command(count: int = 0) -> None:
        raise error

    monkeypatch.setattr("sys.argv", ["vr-command", *arguments])
    with pytest.raises(SystemExit) as end:
        cli_errors.run(app)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_vr_error_is_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of(InputError("no file [a];\n  name another"), monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err == "error: no file [a]; name another\n"
    assert printed.out == ""


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of(KeyboardInterrupt(), monkeypatch) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_wrong_usage_ends_with_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of(InputError("not reached"), monkeypatch, "--count", "many") == 2
    printed = capsys.readouterr().err
    assert "--count" in printed
    assert "Traceback" not in printed


def test_a_fault_of_the_package_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        end_of_fault(monkeypatch)


def end_of_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()

    @app.command()
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sys.argv", ["vr-command"])
    cli_errors.run(app)


def test_require_names_the_install() -> None:
    cli_errors.require("cv2", "cpu")
    with pytest.raises(
        VrError, match=r'no_such_module is missing; install it with: pip install "vr-registration\[x\]"'
    ):
        cli_errors.require("no_such_module", "x")
