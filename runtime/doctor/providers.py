"""What of onnxruntime really works here: every provider computes a tiny graph, whose answer numpy knows."""

import importlib.util
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vr.runtime.doctor.finding import Finding
from vr.runtime.doctor.packages import first_words
from vr.runtime.doctor.tiny_graph import KERNEL, SIZE_HW, tiny_model
from vr.runtime.errors import ModelError, VrError
from vr.runtime.providers import OPENVINO_PLUGIN, ORT_PROVIDERS, Opening, open_session
from vr.runtime.session import import_onnxruntime

_TOLERANCE = 1e-4
_GPU = ("cuda", "tensorrt")


def check_providers(has_gpu: bool) -> tuple[list[Finding], list[str]]:
    """A finding for each provider that could work here, and the names of those that do. has_gpu: an NVIDIA one."""
    try:
        ort = import_onnxruntime()
        available = cast(list[str], ort.get_available_providers())
    except VrError:  # the check of the packages says it
        return [], []
    findings, working = list[Finding](), list[str]()
    for provider, name in ORT_PROVIDERS.items():
        plugin = provider == "openvino" and importlib.util.find_spec(OPENVINO_PLUGIN) is not None
        if name in available or plugin:
            finding = _tried(ort, provider, has_gpu)
            findings.append(finding)
            working += [provider] if finding.verdict == "ok" else []
    if has_gpu and ORT_PROVIDERS["cuda"] not in available:
        advice = 'Run: pip uninstall -y onnxruntime, then pip install "vr-registration[gpu]".'
        text = "There is an NVIDIA GPU, but this onnxruntime cannot use it."
        findings.append(Finding("provider cuda", "warn", text, advice))
    return findings, working


def expected_answer(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the tiny graph gives for (1, 1, 8, 8), by numpy alone."""
    padded, (h, w) = np.pad(x[0, 0], 1), SIZE_HW
    kernel = np.array(KERNEL, np.float32).reshape(3, 3)
    rows = [kernel[i, j] * padded[i : i + h, j : j + w] for i in range(3) for j in range(3)]
    return (np.maximum(np.sum(rows, axis=0), 0.0) + x[0, 0]).astype(np.float32)[None, None]


def _tried(ort: Any, provider: str, has_gpu: bool) -> Finding:
    name = f"provider {provider}"
    x = np.random.default_rng(0).normal(size=(1, 1, *SIZE_HW)).astype(np.float32)
    try:
        session = open_session(ort, Opening(Path("a tiny graph"), tiny_model(), threads=1), provider)
        y = session.run(["y"], {"x": x})[0]
    except ModelError as error:
        return _failed(name, provider, str(error), has_gpu)
    except Exception as error:  # the exceptions of onnxruntime have no common base class
        return _failed(name, provider, first_words(error), has_gpu)
    off = float(np.abs(y - expected_answer(x)).max())
    if not off <= _TOLERANCE:
        advice = f"Do not use it: --provider cpu; update the driver of {provider}."
        return Finding(name, "fail", f"{provider} computes a wrong answer, off by {off:.2g}.", advice)
    return Finding(name, "ok", f"{provider} works: a tiny graph comes out right.")


def _failed(name: str, provider: str, why: str, has_gpu: bool) -> Finding:
    """One that onnxruntime offers and that does not start; on a box without a GPU nobody misses one for GPUs."""
    what, _, repair = why.partition("; to repair: ")
    if provider in _GPU and not has_gpu:
        return Finding(name, "ok", f"{provider} does not start, as there is no NVIDIA GPU.")
    serious = provider in ("cpu", "cuda")
    return Finding(name, "fail" if serious else "warn", f"{what.partition('; available')[0]}.", repair)
