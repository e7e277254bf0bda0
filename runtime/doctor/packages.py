"""Python and the packages that a live run needs: are they there, and do they fit together?"""

import importlib
import sys
from importlib import metadata

from vr.runtime.doctor.finding import Finding
from vr.runtime.sinks import can_show_windows
from vr.runtime.version import DISTRIBUTION, package_version

ORT_FLAVOURS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-training",
)
_NEEDED = {"numpy": "numpy", "av": "av", "typer": "typer"}
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def check_packages() -> list[Finding]:
    """A finding for each."""
    return [_python(), onnxruntime_finding(installed(ORT_FLAVOURS)), _opencv(), *_needed(), _web(), _display()]


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """The versions of those distributions that are installed, by name."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def onnxruntime_finding(found: dict[str, str]) -> Finding:
    """Of the flavours of onnxruntime that are installed: they share one folder, so two of them break each other."""
    listed = " and ".join(f"{name} {version}" for name, version in found.items())
    if not found:
        return Finding(
            "onnxruntime", "fail", "onnxruntime is not installed.", f'Run: pip install "{DISTRIBUTION}[cpu]".'
        )
    if len(found) > 1:
        return Finding(
            "onnxruntime",
            "fail",
            f"{listed} are installed, which overwrite each other's files.",
            f"Run: pip uninstall -y {' '.join(found)}, then pip install the one that you want.",
        )
    try:
        importlib.import_module("onnxruntime")
    except Exception as error:  # whatever a broken installation throws
        return Finding("onnxruntime", "fail", f"{listed} cannot be loaded: {first_words(error)}.", "Install it again.")
    return Finding("onnxruntime", "ok", f"{listed}.")


def first_words(error: BaseException) -> str:
    """The beginning of its message, or its type."""
    words = " ".join(str(error).split())
    return f"{words[:160]}" if words else type(error).__name__


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok", f"Python {version}, vr-registration {package_version()}.")


def _opencv() -> Finding:
    found = installed(_OPENCV)
    listed = " and ".join(f"{name} {version}" for name, version in found.items())
    try:
        cv2 = importlib.import_module("cv2")
    except Exception as error:
        advice = "Install it again; on a box without a screen opencv-python-headless needs no libGL."
        return Finding("OpenCV", "fail", f"OpenCV cannot be loaded: {first_words(error)}.", advice)
    if len(found) > 1:
        advice = f"Run: pip uninstall -y {' '.join(found)}, then pip install {next(iter(found))}."
        return Finding("OpenCV", "warn", f"{listed} are installed, which overwrite each other's files.", advice)
    return Finding("OpenCV", "ok", f"{listed or 'OpenCV ' + str(cv2.__version__)}.")


def _needed() -> list[Finding]:
    return [_module(module, name) for module, name in _NEEDED.items()]


def _module(module: str, name: str) -> Finding:
    title = {"av": "PyAV"}.get(name, name)
    try:
        importlib.import_module(module)
    except Exception as error:
        return Finding(title, "fail", f"{title} cannot be loaded: {first_words(error)}.", f"Run: pip install {name}.")
    return Finding(title, "ok", f"{title} {installed((name,)).get(name, 'of unknown version')}.")


def _web() -> Finding:
    found = installed(("starlette", "uvicorn"))
    if len(found) == 2:
        return Finding("web page", "ok", f"starlette {found['starlette']} and uvicorn {found['uvicorn']} for --web.")
    advice = f'For the page in a browser run: pip install "{DISTRIBUTION}[web]".'
    return Finding("web page", "warn", "What --web needs is not installed.", advice)


def _display() -> Finding:
    if can_show_windows():
        return Finding("display", "ok", "There is a screen for the window.")
    advice = "Use --record FILE, --web, or a desktop session; --no-window leaves the line about it out."
    return Finding("display", "warn", "There is no screen that a window could be shown on.", advice)
