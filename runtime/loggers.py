"""The logger of a run; `vr.runtime.logs` says where it goes. Each camera has its own below `vr.camera`."""

import logging

LOG = logging.getLogger("vr.live")
