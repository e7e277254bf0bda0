"""What is installed: the wheel holds every module and data file of the tree, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY

PACKAGES = ("models", "train", "export", "runtime")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the working tree, built from a copy, since a build leaves folders behind."""
    copy = tmp_path_factory.mktemp("tree")
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True
    )
    for name in files.stdout.splitlines():
        source = REPOSITORY / name
        if source.is_file() and not name.startswith(".typing"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(source.read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(copy / "out"),
        ".",
    ]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next((copy / "out").glob("*.whl"))


def test_wheel_holds_the_tree(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {"vr/__init__.py", "vr/py.typed"}
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*"):
            is_meant = path.suffix in (".py", ".onnx", ".md", ".pt") or path.parent.name == "page"
            if is_meant and "__pycache__" not in path.parts:
                expected.add(f"vr/{path.relative_to(REPOSITORY).as_posix()}")
    assert names == expected


def test_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 5e6


def test_the_pinned_versions_lie_in_the_ranges_for_users() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    ranges = [Requirement(text) for text in [*project["dependencies"], *(text for extra in extras for text in extra)]]
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(requirement.specifier for requirement in ranges)
    for requirement in ranges:
        if requirement.name in pinned:
            assert requirement.specifier.contains(pinned[requirement.name]), requirement
