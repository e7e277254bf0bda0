"""Output files and folders: checked before the work starts, and never replaced by a failed run."""

import os
import tempfile
from pathlib import Path

from vr.runtime.errors import OutputError


class FileTarget:
    """A file to be written: under a hidden name beside it first, under its own name once it is whole."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        """Raises OutputError if `path` cannot be written, or exists and `overwrite` is False. Changes
        nothing.
        """
        if path.is_dir():
            raise OutputError(f"{path} is a folder; expected the name of a file")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists; choose another name, or pass --overwrite to replace it")
        check_writable(path.parent)
        self.path = path
        self.partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
        self._overwrite = overwrite

    def finish(self, complete: bool) -> Path:
        """Gives the partial file its name, and returns it.

        It takes a free name beside it (`out.incomplete.mp4`) where its own is taken and must not be
        replaced: after an error (`complete` False), or if somebody else has made the file in the meantime.
        """
        may_replace = complete and self._overwrite
        name = self.path if may_replace or not self.path.exists() else _free_name(self.path)
        try:
            self.partial.replace(name)
        except OSError as error:
            raise OutputError(f"cannot rename {self.partial} to {name}: {error.strerror}") from error
        return name


class FolderTarget:
    """A folder to be filled: it does not exist, or is empty."""

    def __init__(self, path: Path) -> None:
        """Raises OutputError if `path` cannot be made or is not empty. Changes nothing."""
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; expected a folder, new or empty")
        if path.is_dir() and any(path.iterdir()):
            raise OutputError(
                f"folder {path} is not empty; empty it or choose another (--overwrite replaces files only)"
            )
        check_writable(path if path.is_dir() else path.parent)
        self.path = path

    def create(self) -> None:
        """Makes the folder. Raises OutputError."""
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make folder {self.path}: {error.strerror}") from error


def check_writable(folder: Path) -> None:
    """Raises OutputError unless a file can be made in `folder`; tried out, since permissions alone do not
    tell.
    """
    if not folder.is_dir():
        raise OutputError(f"folder {folder} does not exist; create it or choose another place")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".vr-"):
            pass
    except OSError as error:
        raise OutputError(f"cannot write into folder {folder}: {error.strerror}; choose another place") from error


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Writes a file so that it is there as a whole or not at all. Raises OutputError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _free_name(path: Path) -> Path:
    name, number = path.with_stem(f"{path.stem}.incomplete"), 2
    while name.exists():
        name, number = path.with_stem(f"{path.stem}.incomplete-{number}"), number + 1
    return name
