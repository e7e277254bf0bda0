"""Output files and folders: checked before the work starts, and never replaced by a failed run."""

import tempfile
from collections.abc import Iterator
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Protocol

from vr.runtime.errors import OutputError


class Target(Protocol):
    """Where a sink's file comes to lie."""

    @property
    def written(self) -> Path | None:
        """The file that was made last; None before."""
        ...

    def create(self) -> FileIO:
        """Makes the next file, unbuffered, for appending. Raises OSError; nothing that exists is touched."""
        ...

    def finish(self, complete: bool) -> Path | None:
        """Called once all is written; returns where it lies, None if nothing was made. Raises OutputError."""
        ...


class FileTarget:
    """A file under its own name, or beside the one that it replaces, as `out.incomplete.mp4`, until it is whole."""

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
        self.written: Path | None = None
        self._overwrite = overwrite

    def create(self) -> FileIO:
        """See `Target`. It takes a free name beside its own if that is taken, by an older file or by somebody else
        in the meantime.
        """
        self.written, stream = create_first_free(self._names())
        return stream

    def finish(self, complete: bool) -> Path | None:
        """See `Target`; an older file is replaced if that is asked for and `complete`."""
        if self.written is None or self.written == self.path or not (complete and self._overwrite):
            return self.written
        try:
            self.written.replace(self.path)
        except OSError as error:
            raise OutputError(f"cannot rename {self.written} to {self.path}: {error.strerror}") from error
        self.written = self.path
        return self.path

    def _names(self) -> Iterator[Path]:
        yield self.path
        yield self.path.with_stem(f"{self.path.stem}.incomplete")
        for number in count(2):
            yield self.path.with_stem(f"{self.path.stem}.incomplete-{number}")


def create_first_free(names: Iterator[Path]) -> tuple[Path, FileIO]:
    """Makes a file under the first of the names that nobody has, for appending. Raises OSError."""
    for name in names:
        try:
            name.open("xb").close()
        except FileExistsError:
            continue
        return name, name.open("ab", buffering=0)
    raise FileExistsError("all names are taken")


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
