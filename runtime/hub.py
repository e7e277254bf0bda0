"""Models of the Hugging Face Hub: `hf://ORG/NAME[@REVISION][/FILE.onnx]`, the file is model.onnx unless one is named.

Downloading is `huggingface_hub`'s work, which keeps files in its cache and honours HF_ENDPOINT, HF_HUB_OFFLINE and
HF_TOKEN. A file from there is checked like any other model file once it is loaded.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vr.runtime.errors import ModelError

DEFAULT_FILE = "model.onnx"
MOST_BYTES = 2 * 10**9
"""A model file is at most so large; ONNX itself ends at 2 GiB."""
_EXPECTED = "hf://ORG/NAME, hf://ORG/NAME/FILE.onnx, or hf://ORG/NAME@REVISION/FILE.onnx"
# A Path has made one slash of two.
_SCHEME = re.compile(r"^hf:/{1,2}(?!/)")
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ID = re.compile(rf"(?P<repository>{_WORD}/{_WORD})(?:@(?P<revision>[A-Za-z0-9._%-]+))?(?:/(?P<file>.+))?")


@dataclass(frozen=True)
class HubFile:
    """revision: a branch, a tag or a commit; None is the main branch."""

    repository: str
    file: str = DEFAULT_FILE
    revision: str | None = None


def is_hub_id(model: Path | str) -> bool:
    """Whether it names a model of the Hub; `hf:/ORG/NAME` too, which is what a Path makes of it."""
    return _SCHEME.match(str(model)) is not None


def parse_hub_id(model: Path | str) -> HubFile:
    """Raises ModelError for what is no file of a repository."""
    match = _ID.fullmatch(_SCHEME.sub("", str(model)))
    if match is None:
        raise ModelError(f"{model} names no model of the Hub; expected {_EXPECTED}")
    file = match["file"] or DEFAULT_FILE
    if not file.endswith(".onnx") or ".." in PurePosixPath(file).parts:
        raise ModelError(f"{model} names the file {file!r:.80}; expected one that ends in .onnx: {_EXPECTED}")
    revision = match["revision"]
    return HubFile(match["repository"], file, None if revision is None else revision.replace("%2F", "/"))


def hub_path(model: Path | str) -> Path:
    """The local file of a model of the Hub, downloaded unless the cache has it.

    Raises ModelError where it cannot be had: the package is missing, there is no such repository, revision or file, no
    connection, or it is larger than MOST_BYTES.
    """
    wanted = parse_hub_id(model)
    hub = _import_hub(model)
    try:
        # The size first, from the server's answer; nothing is downloaded.
        found = hub.hf_hub_download(wanted.repository, wanted.file, revision=wanted.revision, dry_run=True)
        if found.file_size is not None and found.file_size > MOST_BYTES:
            raise ModelError(f"{model} has {found.file_size / 1e9:.1f} GB; expected a model of at most 2 GB")
        return Path(hub.hf_hub_download(wanted.repository, wanted.file, revision=wanted.revision))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"cannot get {model}: {_reason(error, wanted, hub)}") from error


def _import_hub(model: Path | str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModelError(
            f'{model} is a model of the Hugging Face Hub; pip install "vr-registration[hub]", or download the file'
        ) from error
    return huggingface_hub


def _reason(error: Exception, wanted: HubFile, hub: Any) -> str:
    """One sentence for people; what the package says itself is a page long."""
    errors = hub.errors
    if isinstance(error, errors.GatedRepoError):
        return f"access to {wanted.repository} has to be asked for on its page, and HF_TOKEN set"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no repository {wanted.repository}, or it is private and HF_TOKEN is not set"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{wanted.repository} has no revision {wanted.revision}"
    # LocalEntryNotFoundError is a child of EntryNotFoundError: no answer, and nothing in the cache.
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return "no connection to the Hub, and the file is not in the cache; connect once, or name a local file"
    if isinstance(error, errors.EntryNotFoundError):
        return f"{wanted.repository} has no file {wanted.file}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
