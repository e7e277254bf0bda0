"""Settings that outlive a run: what was changed on the page or in the window is there again at the next start.

One JSON file per rig, `{"alpha": 0.5, ...}` with names of `vr.runtime.controls.SETTINGS`. Only what differs from what
the run began with is kept, and nothing that the command line says anew.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from vr.runtime.controls import SETTINGS, Controls, Settings
from vr.runtime.errors import InputError, OutputError
from vr.runtime.live_options import LiveOptions
from vr.runtime.loggers import LOG
from vr.runtime.sinks.targets import write_whole
from vr.runtime.sources.credentials import display_name

_WAIT_S = 0.5
_LARGEST_BYTES = 65536
_APP = "vr-live"


def kept_file(options: LiveOptions) -> Path | None:
    """Where the settings of a rig are kept: what `--keep` says, else a file in the user's state folder whose name is
    made from both addresses, without passwords; None for `--keep none`.
    """
    if options.keep is not None:
        return None if str(options.keep) == "none" else options.keep
    rig = json.dumps([options.name, *(display_name(spec) for spec in (options.ir, options.rgb))])
    state = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(state) / _APP / f"{hashlib.sha256(rig.encode()).hexdigest()[:16]}.json"


def read_kept(path: Path) -> dict[str, Any]:
    """The settings in a file by name; none if there is no such file. Raises InputError if it is something else."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"{path} has {path.stat().st_size} bytes; expected settings kept by vr-live")
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; expected settings kept by vr-live") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} holds no settings: {error}; choose another place by --keep") from error
    if not isinstance(kept, dict):
        raise InputError(f"{path} holds no settings; choose another place by --keep")
    return cast(dict[str, Any], kept)


def restored(controls: Controls, kept: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """Sets what was kept and not `given` anew; returns a line for each setting that cannot be any more."""
    faults: list[str] = []
    values = {key: value for key, value in kept.items() if key in SETTINGS and key not in given}
    # The transform first: `follow` may need it.
    for key in sorted(values, key=lambda key: key != "theta"):
        try:
            controls.change({key: values[key]})
        except InputError as error:
            faults.append(f"kept setting left out: {error}")
    return faults


@contextmanager
def keeping(
    controls: Controls, options: LiveOptions, is_watched: bool, given: Collection[str], say: Callable[[str], None]
) -> Generator[None]:
    """Begins with what was kept, and keeps what changes during the block.

    is_watched: people can change something; else nothing is kept but by `--keep`. given: keys of what the command line
    says. say: gets a line for what cannot be set any more. Raises InputError if the file holds something else.
    """
    path = kept_file(options) if is_watched or options.keep is not None else None
    if path is None:
        yield
        return
    began = controls.settings
    kept = read_kept(path)
    for fault in restored(controls, kept, given):
        say(fault)
    keeper = Keeper(controls, path, began, kept)
    try:
        yield
    finally:
        keeper.close()


class Keeper:
    """Writes the settings of one rig after they have changed, at most twice a second, in a thread of its own."""

    def __init__(self, controls: Controls, path: Path, began: Settings, written: dict[str, Any]) -> None:
        """began: what the run was told; what is as there is not kept. written: what is in the file."""
        self._controls, self._path, self._began = controls, path, asdict(began)
        self._written = written
        self._changed, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep settings", daemon=True)
        self._thread.start()
        controls.listen(lambda _settings: self._changed.set())

    def close(self) -> None:
        """Writes what has changed since the last time, and ends."""
        self._ended.set()
        self._changed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._changed.wait()
            self._ended.wait(_WAIT_S)
            self._changed.clear()
            kept = self._kept()
            if kept != self._written:
                self._write(kept)
                self._written = kept

    def _kept(self) -> dict[str, Any]:
        now = asdict(self._controls.settings)
        # Of a transform that was held nothing is left at the next start.
        now["follow"] = "estimate" if now["follow"] == "hold" else now["follow"]
        return {key: value for key, value in now.items() if value != self._began[key]}

    def _write(self, kept: dict[str, Any]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(kept, indent=1).encode() + b"\n")
        except (OSError, OutputError) as error:
            LOG.warning("settings are not kept: %s", error)
