"""Runs `vr-train` in the process of the tests."""

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout

import pytest

from vr.train.cli import main


def vr_train_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in this process, which has torch loaded already."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["vr-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    assert isinstance(end.value.code, int)
    return subprocess.CompletedProcess(["vr-train"], end.value.code, out.getvalue(), err.getvalue())


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal."""
    assert done.returncode == 2, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]
