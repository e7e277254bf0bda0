"""FFmpeg, through PyAV, set up once for this process: import `av` from here.

PyAV takes every error message of FFmpeg through a callback that needs Python's lock; a thread that holds it while it
waits for one of FFmpeg's, as when a codec is closed, would wait for ever if that one has something to say. FFmpeg keeps
its messages to itself instead: what went wrong comes as an exception.
"""

import av
import av.logging

_QUIET = -8

av.logging.restore_default_callback()
av.logging.set_libav_level(_QUIET)

__all__ = ["av"]
