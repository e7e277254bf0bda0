"""What the server says no with."""

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Refusal(Exception):
    """Ends a request with a status 400 to 503 and one sentence: what was wrong, what was expected."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers

    def response(self) -> JSONResponse:
        """`{"error": ...}`."""
        return JSONResponse({"error": self.text}, self.status, self.headers)


class ViewerTooSlow(Exception):
    """Nothing could be sent for so long that the connection is given up."""
