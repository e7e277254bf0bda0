"""From `--web` to a server, for a run that may have none; needs starlette only if it has one."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vr.runtime.cli_errors import require
from vr.runtime.live_options import RunOptions
from vr.runtime.logs import hide_in_logs
from vr.runtime.web.listening import Listening, listen
from vr.runtime.web.pair import WebPair

if TYPE_CHECKING:
    from vr.runtime.web.server import WebServer


class Page:
    """A place that is taken, and from `serve` on the server there."""

    def __init__(self, listening: Listening, stopping: Callable[[], bool]) -> None:
        self._listening, self._stopping = listening, stopping
        self._server: WebServer | None = None

    def serve(self, pairs: Sequence[WebPair], say: Callable[[str], None]) -> None:
        """Begins to answer, and says where."""
        from vr.runtime.web.server import WebServer

        if self._listening.token is not None:
            hide_in_logs(self._listening.token)
        self._server = WebServer(pairs, self._listening, self._stopping)
        self._server.start()
        say(f"web page: {self._listening.url}")

    def close(self) -> None:
        """Ends what is open, within a second."""
        if self._server is not None:
            self._server.close()
        self._listening.close()


@contextmanager
def page_for(options: RunOptions, stopping: Callable[[], bool]) -> Generator[Page | None]:
    """Takes the place of `--web` during the block; None without it. stopping: whether the run is to end, which ends the
    server too. Raises VrError if the extra is missing, InputError for a place that cannot be had.
    """
    if options.web is None:
        yield None
        return
    require("uvicorn", "web")
    require("starlette", "web")
    page = Page(listen(options), stopping)
    try:
        yield page
    finally:
        page.close()
