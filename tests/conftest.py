"""Settings for all tests: one thread, no screen. Imports neither torch nor matplotlib by itself."""

import os

# Before numpy, OpenCV, torch or matplotlib is imported by any test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"

import sys
from collections.abc import Iterator

import cv2
import pytest

cv2.setNumThreads(1)


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Holds torch to one thread where a test module has imported it; a runtime-only run never does."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    yield
