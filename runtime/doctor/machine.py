"""The machine: processor, cores, memory, NVIDIA GPU."""

import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from vr.runtime.cores import available_cores
from vr.runtime.doctor.finding import Finding

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")
_LEAST_GB = 1.0
_ASK_GPU = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
_GPU_TIMEOUT_S = 10.0


def check_machine(gpus: "Gpus") -> list[Finding]:
    """A finding for each part."""
    text = _read(_CPUINFO)
    return [cpu_finding(text, available_cores()), memory_finding(_read(_MEMINFO)), gpu_finding(gpus)]


def cpu_finding(cpuinfo: str, cores: int) -> Finding:
    """Of the text of /proc/cpuinfo, empty where there is none."""
    facts = _facts(cpuinfo)
    name = facts.get("model name") or facts.get("Model") or platform.processor() or platform.machine()
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    has = [label for label, flag in (("AVX2", "avx2"), ("AVX-512", "avx512f"), ("VNNI", "vnni")) if _has(flags, flag)]
    text = f"{name}, {cores} core{'s' if cores > 1 else ''} for this process, {' and '.join(has) or 'no AVX2'}."
    if platform.machine() in ("x86_64", "AMD64") and flags and not _has(flags, "avx2"):
        return Finding(
            "processor", "warn", text, "Without AVX2 the network is several times slower: use --model small."
        )
    return Finding("processor", "ok", text if flags else f"{name}, {cores} cores for this process.")


def memory_finding(meminfo: str) -> Finding:
    """Of the text of /proc/meminfo, empty where there is none."""
    facts = _facts(meminfo)
    if "MemTotal" not in facts:
        return Finding("memory", "ok", "How much memory there is cannot be told here.")
    total_gb, free_gb = (int(facts.get(key, "0 kB").split()[0]) / 1e6 for key in ("MemTotal", "MemAvailable"))
    text = f"{total_gb:.1f} GB of memory, {free_gb:.1f} GB free."
    if free_gb < _LEAST_GB:
        return Finding("memory", "warn", text, "A live run needs some 0.5 GB: end other programs.")
    return Finding("memory", "ok", text)


@dataclass(frozen=True)
class Gpus:
    """What nvidia-smi says. lines: `name, driver, memory` of each. fault: why there are none although it is there."""

    lines: tuple[str, ...] = ()
    fault: str = ""


def ask_gpus() -> Gpus:
    """nvidia-smi comes with NVIDIA's driver."""
    if shutil.which(_ASK_GPU[0]) is None:
        return Gpus()
    try:
        done = subprocess.run(_ASK_GPU, capture_output=True, text=True, timeout=_GPU_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return Gpus(fault=type(error).__name__)
    lines = tuple(line.strip() for line in done.stdout.splitlines() if line.strip())
    if done.returncode != 0 or not lines:
        return Gpus(fault=(done.stderr or done.stdout).strip()[:160] or f"it ended with {done.returncode}")
    return Gpus(lines)


def gpu_finding(gpus: Gpus) -> Finding:
    """Of NVIDIA's GPUs."""
    if gpus.fault:
        advice = "Install NVIDIA's driver again; in a container start it with --gpus all."
        return Finding("GPU", "warn", f"nvidia-smi is installed, but finds no GPU: {gpus.fault}.", advice)
    if not gpus.lines:
        return Finding("GPU", "ok", "No NVIDIA driver is installed (no nvidia-smi): the network runs on the processor.")
    parts = [[*(part.strip() for part in line.split(",")), "?", "?"][:3] for line in gpus.lines]
    return Finding("GPU", "ok", "; ".join(f"{name}, driver {driver}, {memory}" for name, driver, memory in parts) + ".")


def _has(flags: set[str], part: str) -> bool:
    return any(flag.endswith(part) or flag == part for flag in flags)


def _facts(text: str) -> dict[str, str]:
    """`name : value` of the first of each name."""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            facts.setdefault(name.strip(), value.strip())
    return facts


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
