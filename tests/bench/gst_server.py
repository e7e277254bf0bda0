"""An RTSP server that is fed with H.264 access units on standard input; each behind its length, four bytes big-endian.

Runs in the system's Python, without numpy and without this project. The first line of its output is `{"port": N}`.
"""

import argparse
import json
import os
import sys
import threading
from typing import Any

import gi  # pyright: ignore[reportMissingImports]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  # pyright: ignore

PIPELINE = (
    "( appsrc name=source is-live=true format=time do-timestamp=true "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse config-interval=-1 "
    "! rtph264pay name=pay0 pt=96 )"
)


class Feed:
    """Pushes what it reads into the pipeline that is running now, if any."""

    def __init__(self, factory: Any) -> None:
        self._source: Any = None
        factory.connect("media-configure", self._on_media)

    def _on_media(self, _factory: Any, media: Any) -> None:
        self._source = media.get_element().get_by_name("source")
        media.connect("unprepared", self._on_end)

    def _on_end(self, _media: Any) -> None:
        self._source = None

    def read(self, loop: Any) -> None:
        """Until standard input ends."""
        stream = sys.stdin.buffer
        while len(head := stream.read(4)) == 4:
            data = stream.read(int.from_bytes(head, "big"))
            source = self._source
            if source is not None:
                source.emit("push-buffer", Gst.Buffer.new_wrapped(data))
        loop.quit()
        os._exit(0)


def _with_login(server: Any, factory: Any, login: str) -> None:
    user, _, password = login.partition(":")
    auth, token = GstRtspServer.RTSPAuth.new(), GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions.new()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)


def main() -> None:
    """Serves `rtsp://127.0.0.1:PORT/cam` until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="end at once: all modules are there")
    parser.add_argument("--login", default="", help="USER:PASSWORD")
    args = parser.parse_args()
    Gst.init(None)
    missing = [name for name in ("appsrc", "h264parse", "rtph264pay") if Gst.ElementFactory.find(name) is None]
    if missing:
        sys.exit(f"no GStreamer element {', '.join(missing)}")
    if args.check:
        return
    server, factory = GstRtspServer.RTSPServer.new(), GstRtspServer.RTSPMediaFactory.new()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    if args.login:
        _with_login(server, factory, args.login)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    loop = GLib.MainLoop()
    threading.Thread(target=Feed(factory).read, args=(loop,), daemon=True).start()
    print(json.dumps({"port": server.get_bound_port()}), flush=True)  # noqa: T201
    loop.run()


if __name__ == "__main__":
    main()
