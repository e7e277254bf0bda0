"""The public interface: what it holds, that it is light, and that the type checker knows it."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vr.runtime
from tests.helpers import REPOSITORY
from vr.runtime import LiveOptions, Output, OutputError, Sink, run_live

SOURCE = (REPOSITORY / "runtime" / "__init__.py").read_text(encoding="utf-8")


def typed_imports() -> dict[str, str]:
    """Names that the type checker sees, with their modules."""
    (block,) = (node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    found = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in found for alias in node.names}


def test_the_three_lists_are_one() -> None:
    listed = {name: f"vr.runtime.{module}" for name, module in vr.runtime._MODULE_OF.items()}
    assert listed == typed_imports()
    assert set(vr.runtime.__all__) == set(listed)


@pytest.mark.parametrize("name", vr.runtime.__all__)
def test_each_name_is_there_and_explained(name: str) -> None:
    value = getattr(vr.runtime, name)
    assert name in dir(vr.runtime)
    if callable(value) and name != "State":
        assert name == "View" or value.__doc__


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Algner'"):
        vr.runtime.Algner  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_it_loads_nothing_of_others() -> None:
    code = (
        "import sys; before = set(sys.modules); import vr.runtime; from vr.runtime import VrError\n"
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['vr']"


def test_aligning_loads_no_pyav() -> None:
    heavy = "{'av', 'onnxruntime', 'typer', 'torch'}"
    code = f"import sys; from vr.runtime import Aligner, Alignment\nprint({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_type_checker_sees_what_users_write(tmp_path: Path) -> None:
    """Types, not Any: the line that is wrong is found, and no other."""
    (tmp_path / "user.py").write_text(
        "from vr.runtime import Aligner, LiveOptions, load_transform, run_live\n"
        "report = run_live(LiveOptions('sim:', 'sim:'))\n"
        "reveal_type(Aligner.load())\n"
        "reveal_type(load_transform('a.npy').theta())\n"
        "reveal_type(report)\n"
        "wrong: str = Aligner.load()\n"
    )
    checker = Path(sys.executable).with_name("pyright")
    (tmp_path / "pyrightconfig.json").write_text('{"extraPaths": ["%s"]}' % (REPOSITORY / ".typing"))
    command = [checker, "--pythonpath", sys.executable, "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert 'Type of "Aligner.load()" is "Aligner"' in done.stdout
    assert 'is "LiveReport"' in done.stdout
    assert "1 error" in done.stdout


class Collecting:
    """A sink as a user would write one."""

    wants_picture = True

    def __init__(self, fails_at: int | None = None) -> None:
        self.outputs: list[Output] = []
        self.fails_at, self.complete = fails_at, None

    def write(self, output: Output) -> None:
        if output.index == self.fails_at:
            raise OutputError("the shelf is full")
        self.outputs.append(output)

    def close(self, complete: bool) -> None:
        self.complete = complete


def test_a_sink_of_ones_own_gets_every_picture() -> None:
    sink = Collecting()
    as_sink: Sink = sink
    options = LiveOptions("sim:", "sim:", frames=5, window=False, provider="cpu", threads=1)
    report = run_live(options, sinks=[as_sink])
    assert report.frames == 5
    assert [one.index for one in sink.outputs] == [0, 1, 2, 3, 4]
    assert all(one.picture is not None and one.picture.dtype == np.uint8 for one in sink.outputs)
    assert sink.complete is True


def test_a_sink_that_fails_ends_the_run_with_its_error() -> None:
    sink = Collecting(fails_at=2)
    options = LiveOptions("sim:", "sim:", frames=50, window=False, provider="cpu", threads=1)
    with pytest.raises(OutputError, match="the shelf is full"):
        run_live(options, sinks=[sink])
    assert sink.complete is False
