"""The loggers of a run; `vr.runtime.logs` says where they go."""

import logging

LOG = logging.getLogger("vr.live")
"""The run as a whole."""


def camera_logger(role: str, pair: str = "") -> logging.Logger:
    """One camera's: `vr.camera.ir`, or `vr.camera.NAME.ir` with the name of its pair where there are several."""
    return logging.getLogger(f"vr.camera.{pair.replace('.', '_')}.{role}" if pair else f"vr.camera.{role}")
