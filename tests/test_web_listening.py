"""Where `--web` listens, and what it asks of those who come."""

import socket
from pathlib import Path

import pytest

from vr.runtime.cli import with_implied_values
from vr.runtime.errors import InputError
from vr.runtime.live_options import RunOptions
from vr.runtime.web.listening import DEFAULT_PORT, TOKEN_VARIABLE, Listening, Place, listen

TOKEN = "a-token-of-twenty-six-chars"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("auto", Place("localhost", 8080, is_default=True)),
        ("localhost:9000", Place("localhost", 9000)),
        ("9000", Place("localhost", 9000)),
        ("0.0.0.0", Place("0.0.0.0", 8080)),
        ("cameras.local:0", Place("cameras.local", 0)),
        ("[::1]:9000", Place("::1", 9000)),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert Place.parse(text) == place


@pytest.mark.parametrize("text", ["", ":80", "a:b", "a:99999", "http://localhost:80", "::1", "a b", "a/b", "70000"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(InputError, match="--web"):
        Place.parse(text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--web"], ["--web=auto"]),
        (["--web", "--no-window"], ["--web=auto", "--no-window"]),
        (["--web", "0.0.0.0:80", "--rgb", "x"], ["--web", "0.0.0.0:80", "--rgb", "x"]),
        (["--web=:80"], ["--web=:80"]),
        (["--web-folder", "x", "--ir", "sim:"], ["--web-folder", "x", "--ir", "sim:"]),
        ([], []),
    ],
)
def test_a_value_may_be_left_out(words: list[str], expected: list[str]) -> None:
    assert with_implied_values(words) == expected


def opened(place: str, **options: object) -> Listening:
    return listen(RunOptions(web=place, **options))  # type: ignore[arg-type]


def test_a_taken_port_is_an_error_if_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"--web localhost:8081"):
            opened(f"127.0.0.1:{taken.getsockname()[1]}")


def test_the_default_port_gives_way() -> None:
    first, second = opened("auto"), opened("auto")
    try:
        assert DEFAULT_PORT <= first.port < second.port < DEFAULT_PORT + 20
        assert second.url == f"http://localhost:{second.port}/"
    finally:
        first.close()
        second.close()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(InputError, match="address of this machine"):
        opened("192.0.2.7:0")


def test_others_need_a_token_that_is_made_and_told() -> None:
    first, second = opened("0.0.0.0:0"), opened("0.0.0.0:0")
    first.close()
    second.close()
    assert first.token is not None and len(first.token) >= 32 and first.token != second.token
    assert first.url.endswith(f":{first.port}/?token={first.token}") and "0.0.0.0" not in first.url


def test_nobody_would_see_a_token_of_a_quiet_run() -> None:
    with pytest.raises(InputError, match="--quiet"):
        opened("0.0.0.0:0", quiet=True)


def test_this_machine_alone_needs_none() -> None:
    listening = opened("localhost:0")
    listening.close()
    assert listening.token is None and "token" not in listening.url


def test_a_token_of_ones_own_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    by_variable = opened("0.0.0.0:0", quiet=True)
    by_variable.close()
    (tmp_path / "token").write_text(TOKEN[::-1] + "\n")
    by_file = opened("localhost:0", web_token=tmp_path / "token")
    by_file.close()
    assert (by_variable.token, by_file.token) == (TOKEN, TOKEN[::-1])
    assert "token" not in by_variable.url + by_file.url


@pytest.mark.parametrize(
    "content", ["short", "", "spaces are not allowed here", "a" * 201, "two-lines-of-it\ntwo-lines"]
)
def test_a_token_that_does_not_fit(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(InputError) as raised:
        opened("localhost:0", web_token=tmp_path / "token")
    assert content == "" or content not in str(raised.value)


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the token"):
        opened("localhost:0", web_token=tmp_path / "none")


@pytest.mark.parametrize(
    ("place", "host", "is_ours"),
    [
        ("localhost:0", "localhost", True),
        ("localhost:0", "127.0.0.1", True),
        ("localhost:0", "[::1]", True),
        ("localhost:0", "10.1.2.3", False),
        ("localhost:0", "evil.example", False),
        ("localhost:0", "", False),
        ("0.0.0.0:0", "10.1.2.3", True),
        ("0.0.0.0:0", "localhost", True),
        ("0.0.0.0:0", socket.gethostname(), True),
        ("0.0.0.0:0", "evil.example", False),
        ("0.0.0.0:0", "proxy.example", True),
    ],
)
def test_hosts(place: str, host: str, is_ours: bool) -> None:
    listening = opened(place, web_name="Proxy.example")
    try:
        assert listening.accepts_host(host) is is_ours
    finally:
        listening.close()
