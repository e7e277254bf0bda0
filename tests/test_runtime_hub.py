"""Models of the Hugging Face Hub, through its own client and a server here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY
from tests.hub_server import COMMIT, hub_server
from vr.runtime.config import read_config
from vr.runtime.embedded import embedded_path, model_path
from vr.runtime.errors import ModelError
from vr.runtime.hub import HubFile, is_hub_id, parse_hub_id

SMALL = embedded_path("small").read_bytes()
FILES = {("main", "model.onnx"): SMALL, ("main", "deep/other.onnx"): b"no model", ("v1/x", "model.onnx"): SMALL}
LOAD = """from vr.runtime import Aligner, VrError
try:
    print(Aligner.load({model!r}, 'cpu', 1).info.network)
except VrError as error:
    print(type(error).__name__, error)
"""


def load(folder: Path, endpoint: str, *models: str, offline: bool = False, first: str = "") -> list[str]:
    """The lines that a process prints which loads models from the Hub at `endpoint`, with its cache in `folder`."""
    pytest.importorskip("huggingface_hub")
    known = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment = known | {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder), "HF_HUB_OFFLINE": str(int(offline))}
    code = first + "".join(LOAD.format(model=model) for model in models)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=REPOSITORY, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


def test_a_model_is_downloaded_once_and_then_comes_from_the_cache(tmp_path: Path) -> None:
    with hub_server("org/name", FILES) as (endpoint, seen):
        assert (
            load(tmp_path, endpoint, "hf://org/name", "hf:/org/name/model.onnx", "hf://org/name@v1%2Fx")
            == ["match"] * 3
        )
        assert sum(request.startswith("GET") and "/resolve/" in request for request in seen) == 1
    assert load(tmp_path, endpoint, "hf://org/name", offline=True) == ["match"]
    # Nobody answers any more: a commit that is in the cache is not asked for.
    assert load(tmp_path, endpoint, f"hf://org/name@{COMMIT}") == ["match"]


def test_what_cannot_be_had_is_said_in_one_line(tmp_path: Path) -> None:
    with hub_server("org/name", FILES) as (endpoint, _):
        models = ("hf://org/none", "hf://org/name/none.onnx", "hf://org/name@v9", "hf://org/name/deep/other.onnx")
        repository, file, revision, content = load(tmp_path, endpoint, *models)
    assert "there is no repository org/none, or it is private" in repository
    assert "org/name has no file none.onnx" in file
    assert "org/name has no revision v9" in revision
    assert content.startswith("ModelError")
    assert "other.onnx" in content
    (offline,) = load(tmp_path, endpoint, "hf://org/other", offline=True)
    assert "no connection to the Hub, and the file is not in the cache" in offline


def test_what_claims_to_be_too_large_is_not_downloaded(tmp_path: Path) -> None:
    with hub_server("org/name", FILES, claimed_bytes=3 * 10**9) as (endpoint, seen):
        (line,) = load(tmp_path, endpoint, "hf://org/name")
    assert "has 3.0 GB; expected a model of at most 2 GB" in line
    assert not any(request.startswith("GET") and "/resolve/" in request for request in seen)


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    (line,) = load(tmp_path, "", "hf://org/name", first="import sys\nsys.modules['huggingface_hub'] = None\n")
    assert 'pip install "vr-registration[hub]", or download the file' in line


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hf://org/name", HubFile("org/name")),
        ("hf:/org/name", HubFile("org/name")),
        (Path("hf://org/name/a/b.onnx"), HubFile("org/name", "a/b.onnx")),
        ("hf://org/name@v1.2/b.onnx", HubFile("org/name", "b.onnx", "v1.2")),
        ("hf://o-r.g/n_m@refs%2Fpr%2F1", HubFile("o-r.g/n_m", revision="refs/pr/1")),
    ],
)
def test_ids(text: str | Path, meant: HubFile) -> None:
    assert is_hub_id(text)
    assert parse_hub_id(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://org",
        "hf:///org/name",
        "hf://org/name/",
        "hf://../name",
        "hf://org/name/x.pt",
        "hf://o/n/../x.onnx",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        model_path(text)


@pytest.mark.parametrize("text", ["model.onnx", "/hf/model.onnx", "hf", "hf.onnx", "small"])
def test_files_and_names_are_no_ids(text: str) -> None:
    assert not is_hub_id(text)


def test_an_id_in_a_file_of_options_is_no_file_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text('model = "hf://org/name"\n')
    assert parse_hub_id(read_config(tmp_path / "rig.toml").values["model"]) == HubFile("org/name")
