"""The dataset folder: files written beside their name and renamed, and a manifest that is only appended to."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vr.runtime.errors import InputError, OutputError
from vr.runtime.preprocess import Frame
from vr.train.data import MANIFEST

SETTINGS = "prepare.json"
REPORT, CONTACT = "report.json", "contact.png"
EXAMPLES = ".examples"
_JPEG_QUALITY = 95

Line = dict[str, Any]


class DatasetFolder:
    """`rgb/`, `ir/`, `masks/rgb/`, `masks/ir/`, `manifest.jsonl`, `prepare.json`, `report.json`, `contact.png`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def manifest(self) -> Path:
        """JSON lines, one for each examined pair, in order."""
        return self.root / MANIFEST

    def check_free(self) -> None:
        """Raises OutputError if the folder holds anything: nothing is overwritten."""
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise OutputError(f"{self.root} exists and is not empty; add --resume to go on, or name another --out")

    def check_resumable(self, settings: Line) -> None:
        """Raises InputError unless the folder was begun with the same settings."""
        path = self.root / SETTINGS
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise InputError(f"nothing to resume: cannot read {path} ({error}); leave --resume out to start") from error
        changed = [name for name, value in settings.items() if before.get(name) != value]
        if changed:
            name = changed[0]
            raise InputError(
                f"cannot resume with other settings: {name} is {settings[name]}, was {before.get(name)}; "
                "give the same ones, or start in a new folder"
            )

    def start(self, settings: Line) -> None:
        """Creates the folder. Raises OutputError if it cannot be written to."""
        self._make(self.root)
        self.write_json(SETTINGS, settings)

    def read_lines(self) -> list[Line]:
        """The lines of the manifest so far; a torn last line is cut off, and files that were not renamed are removed.

        Raises InputError for a line that is damaged elsewhere.
        """
        for part in self.root.rglob(".*.part"):
            part.unlink()
        content = self.manifest.read_bytes() if self.manifest.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self.manifest.open("r+b") as file:
                file.truncate(len(whole))
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.manifest} is damaged ({error}); start in a new folder") from error

    def append(self, line: Line) -> None:
        """Adds one line to the manifest. Raises OutputError if it cannot be written."""
        try:
            with self.manifest.open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise _failed(self.manifest, error) from error

    def write_image(self, name: str, image: Frame) -> None:
        """An image in the format that the suffix of `name` says. Raises OutputError if it cannot be written."""
        flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if name.endswith(".jpg") else []
        self._write(name, np.asarray(cv2.imencode(Path(name).suffix, image, flags)[1]).tobytes())

    def write_json(self, name: str, content: Line) -> None:
        """A JSON file. Raises OutputError if it cannot be written."""
        self._write(name, (json.dumps(content, indent=2) + "\n").encode())

    def remove_examples(self) -> None:
        """Takes away the pictures that were kept for the contact sheet."""
        shutil.rmtree(self.root / EXAMPLES, ignore_errors=True)

    def _write(self, name: str, content: bytes) -> None:
        path = self.root / name
        part = path.with_name(f".{path.name}.part")
        self._make(path.parent)
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _failed(path, error) from error

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(folder, error) from error


def _failed(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write {path} ({error.strerror}); what was written before is kept: free space or rights there, "
        "then go on with --resume"
    )
