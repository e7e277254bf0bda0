"""Keeping OpenCV's and FFmpeg's own messages off the terminal."""

import os
from collections.abc import Callable

import cv2

_FFMPEG_QUIET = "-8"
_OPENCV_SILENT = 0
_QT_QUIET = "*.warning=false"


def quiet_opencv() -> None:
    """Silences OpenCV, FFmpeg and the window's Qt (which misses its fonts) in this process, for commands that report
    errors themselves.

    Call it before the first video or window is opened (they read their settings once). A user who has set
    OPENCV_LOG_LEVEL, OPENCV_FFMPEG_LOGLEVEL or QT_LOGGING_RULES keeps what they asked for.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _FFMPEG_QUIET)
    os.environ.setdefault("QT_LOGGING_RULES", _QT_QUIET)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # OpenCV 5 has moved it.
        set_level: Callable[[int], object] = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_level(_OPENCV_SILENT)
