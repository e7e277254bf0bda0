"""What an edge box must not need, and who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY

OWN_IMPORTS = {
    "models": ("vr.models",),
    "train": ("vr.train", "vr.models", "vr.runtime"),
    "export": ("vr.export", "vr.models", "vr.runtime", "vr.train.checkpoint"),
    "runtime": ("vr.runtime",),
}
OTHER_IMPORTS = {
    "models": {"torch", "torchvision"},
    "runtime": {"numpy", "cv2", "av", "onnxruntime", "typer", "rich", "huggingface_hub"},
    "runtime/web": {"numpy", "cv2", "starlette", "uvicorn", "h11"},
}
SOURCES = [path for folder in OWN_IMPORTS for path in sorted((REPOSITORY / folder).rglob("*.py"))]


def imported_modules(path: Path) -> set[str]:
    """All modules that a file imports, `from vr.x import y` as `vr.x.y`, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_import_rule(path: Path) -> None:
    folder = path.relative_to(REPOSITORY).parts[0]
    modules = imported_modules(path)
    own = {module for module in modules if module.split(".")[0] == "vr"}
    assert {module for module in own if not is_within(module, OWN_IMPORTS[folder])} == set()
    folder = "runtime/web" if "web" in path.relative_to(REPOSITORY).parts else folder
    if folder in OTHER_IMPORTS:
        roots = {module.split(".")[0] for module in modules - own} - sys.stdlib_module_names
        assert roots <= OTHER_IMPORTS[folder]


def test_the_import_scan_sees_all_forms(tmp_path: Path) -> None:
    """The rule above can fail: a file that breaks it in each way is read as such."""
    path = tmp_path / "bad.py"
    path.write_text("import torch.nn as nn\nfrom vr import train\ndef f():\n    from vr.train.loop import fit\n")
    assert imported_modules(path) == {"torch.nn", "vr.train", "vr.train.loop.fit"}


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_runtime_loads_neither_torch_nor_onnxruntime() -> None:
    heavy = run_python(
        "import sys, vr.runtime, vr.runtime.cli, vr.export.cli\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'matplotlib'} & set(sys.modules)))"
    )
    assert heavy == "[]"


def test_without_onnxruntime_the_runtime_imports_and_loading_says_what_to_install() -> None:
    """None in sys.modules is what Python itself uses to mean: cannot be imported."""
    message = run_python(
        "import sys\n"
        "sys.modules['onnxruntime'] = None\n"
        "from vr.runtime import Aligner, VrError\n"
        f"model = {str(REPOSITORY / 'pyproject.toml')!r}\n"
        "try:\n    Aligner.load(model)\nexcept VrError as error:\n    print(error)"
    )
    assert 'pip install "vr-registration[cpu]"' in message
    assert "\n" not in message


def test_public_names_are_there() -> None:
    import vr.runtime

    assert all(hasattr(vr.runtime, name) for name in vr.runtime.__all__)
    assert {"Aligner", "Alignment", "ModelInfo", "VrError"} <= set(vr.runtime.__all__)
