"""`vr-health FILE`: whether the `vr-live` that writes this status file is well, as an exit code for supervisors.

0  healthy    pictures of both cameras come
1  degraded   it works, but not fully: a camera is lost, or it is only starting
2  dead       it has ended, hangs, or the file is older than --max-age s (default 10), or cannot be read
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

MAX_AGE_S = 10.0
HEALTHY, DEGRADED, DEAD = 0, 1, 2
_CODES = {"running": HEALTHY, "degraded": DEGRADED, "starting": DEGRADED, "waiting": DEGRADED}
_WORDS = {HEALTHY: "healthy", DEGRADED: "degraded", DEAD: "dead"}


def check(path: Path, max_age_s: float = MAX_AGE_S) -> tuple[int, str]:
    """The exit code, and one line that says why."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        age_s, state = time.time() - float(document["unix_s"]), str(document["state"])
        troubles = [_trouble(pair) for pair in document["pairs"]]
    except OSError as error:
        return DEAD, f"dead: cannot read {path}: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        return DEAD, f"dead: {path} is no status file of vr-live"
    if age_s > max_age_s:
        return DEAD, f"dead: {path} was written {age_s:.0f} s ago, and was {state} then"
    code = _CODES.get(state, DEAD)
    return code, "; ".join([f"{_WORDS[code]}: {state}", *filter(None, troubles)])


def _trouble(pair: dict[str, Any]) -> str:
    cameras = [f"{role} {camera['state']}" for role, camera in pair["cameras"].items() if camera["state"] == "lost"]
    error = [pair["error"]] if pair["error"] else []
    text = ", ".join(dict.fromkeys([*cameras, *pair["notices"], *error]))
    return f"{pair['name']}: {text}" if pair["name"] and text else text


def main() -> None:
    """Entry point of the `vr-health` command."""
    parser = argparse.ArgumentParser(
        "vr-health", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what vr-live --status-file writes")
    parser.add_argument("--max-age", type=float, default=MAX_AGE_S, metavar="S", help="oldest file that counts, s")
    given = parser.parse_args()
    code, text = check(given.file, given.max_age)
    sys.stdout.write(f"{text}\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
