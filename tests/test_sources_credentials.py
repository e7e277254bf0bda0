"""User names and passwords of cameras: where they come from, and that nothing shows them."""

import base64
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from tests.live_command import COMMAND, screenless, vr_live
from tests.live_models import write_theta_model
from tests.live_server import mjpeg_camera
from vr.runtime.errors import InputError
from vr.runtime.sources.credentials import HIDDEN, has_literal_secret, public_address, resolve, scrub, secrets_of

SECRET = "p@ss/w:rd?#% 1"
NAMES = [f"VR_{role}_{what}" for role in ("IR", "RGB") for what in ("USERNAME", "PASSWORD")]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CAM_USER", "op erator")
    monkeypatch.setenv("CAM_PASSWORD", SECRET)
    monkeypatch.setenv("CAM_HOST", "10.0.0.11:554")


def test_references_are_found_and_encoded() -> None:
    url = urlsplit(resolve("rtsp://${CAM_USER}:${CAM_PASSWORD}@${CAM_HOST}/ir@1?key=${CAM_PASSWORD}&a=b", "ir"))
    assert (url.hostname, url.port, url.path) == ("10.0.0.11", 554, "/ir@1")
    assert (unquote(url.username or ""), unquote(url.password or "")) == ("op erator", SECRET)
    assert [unquote(one) for one in url.query.split("&")] == [f"key={SECRET}", "a=b"]


@pytest.mark.parametrize(
    "spec",
    [
        "0",
        "sim:seed=${X}",
        "clip ${X}.mp4",
        "rtsp://host/ir@1",
        "rtsp://a:b@host:554/x@y",
        "http://[fe80::1]:8080/a?b=c",
    ],
)
def test_what_needs_nothing_stays_as_it_is(spec: str) -> None:
    assert resolve(spec, "ir") == spec


def test_the_role_has_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VR_IR_USERNAME", "ada")
    monkeypatch.setenv("VR_IR_PASSWORD", SECRET)
    assert resolve("rtsp://host/ir", "ir") == "rtsp://ada:p%40ss%2Fw%3Ard%3F%23%25%201@host/ir"
    assert resolve("rtsp://bob@host/ir", "ir") == "rtsp://bob:p%40ss%2Fw%3Ard%3F%23%25%201@host/ir"
    assert resolve("rtsp://bob:own@host/ir", "ir") == "rtsp://bob:own@host/ir"
    assert resolve("rtsp://host/rgb", "rgb") == "rtsp://host/rgb"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("rtsp://${NO_SUCH}:x@host/", "--ir: the address needs NO_SUCH, which is not set"),
        ("rtsp://${:x@host/", "expected ${NAME}"),
        ("rtsp://${1A}@host/", "expected ${NAME}"),
        ("rtsp://ada:pa/ss@host/", "write / as %2F"),
    ],
)
def test_what_cannot_be_resolved_is_named_without_the_secret(spec: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(spec, "ir")
    assert says in str(caught.value) and "pa/ss" not in str(caught.value)


def test_a_password_without_a_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VR_RGB_PASSWORD", SECRET)
    with pytest.raises(InputError, match="VR_RGB_PASSWORD is set, but VR_RGB_USERNAME is not"):
        resolve("rtsp://host/rgb", "rgb")


def test_words_of_others_are_scrubbed() -> None:
    spec = "rtsp://ada:${CAM_PASSWORD}@host/x?token=t0k%2Fen"
    text = f"401 for {resolve(spec, 'ir')}: {SECRET}, t0k/en"
    clean = scrub(text, secrets_of(spec, "ir"))
    assert clean == f"401 for rtsp://ada:{HIDDEN}@host/x?token={HIDDEN}: {HIDDEN}, {HIDDEN}"
    assert secrets_of("0", "ir") == () and scrub("text", ("",)) == "text"


def test_what_may_be_shown() -> None:
    for spec, shown in {
        "rtsp://ada:secret@host:554/x": "rtsp://host:554/x",
        "rtsp://ada:${CAM_PASSWORD}@host/x": "rtsp://ada:${CAM_PASSWORD}@host/x",
        "http://host/x?a=1&pwd=secret": "http://host/x?a=1&pwd=${CAMERA_PWD}",
    }.items():
        assert public_address(spec) == shown
    for spec in (
        "rtsp://${CAM_USER}:${CAM_PASSWORD}@host/x",
        "http://host/x?pwd=${CAM_PASSWORD}",
        "rtsp://host/a@b",
        "0",
    ):
        assert public_address(spec) == spec and not has_literal_secret(spec)
    assert has_literal_secret("rtsp://a:b@host/") and has_literal_secret("http://host/?token=b")
    assert not has_literal_secret("rtsp://ada:${CAM_PASSWORD}@host/")


def test_a_run_shows_its_secret_nowhere(tmp_path: Path) -> None:
    """Neither in what it prints and writes nor to whoever lists processes; the camera gets it."""
    model = write_theta_model(tmp_path / "model.onnx", confidence=0.9)
    logins: list[str] = []
    with mjpeg_camera(lambda _index: np.full((96, 128, 3), 90, np.uint8), logins=logins) as url:
        address = url.replace("://", "://${CAM_USER}:${CAM_PASSWORD}@")
        words = ["--ir", address, "--rgb", address, "--model", str(model), "--no-window", "--frames", "12"]
        words += ["--transforms", str(tmp_path / "t.jsonl")]
        process = subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=screenless()
        )
        command_line = Path(f"/proc/{process.pid}/cmdline").read_text()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    written = "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))
    assert len(written.splitlines()) == 12
    assert not [text for text in (command_line, out, err, written) if SECRET in text or "p%40ss" in text]
    assert {base64.b64decode(login.removeprefix("Basic ")).decode() for login in logins} == {f"op erator:{SECRET}"}


def test_a_camera_that_is_not_there_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VR_IR_USERNAME", "ada")
    monkeypatch.setenv("VR_IR_PASSWORD", SECRET)
    ended = vr_live("--ir", "http://127.0.0.1:9/a", "--rgb", "http://127.0.0.1:9/a", "--no-window")
    assert ended.code == 2 and "127.0.0.1:9/a" in ended.err
    assert not [text for text in (ended.out, ended.err) if SECRET in text or "p%40ss" in text or "ada" in text]


def test_a_password_on_the_command_line_works_and_is_warned_of() -> None:
    ended = vr_live("--ir", "http://ada:hidden@127.0.0.1:9/a", "--rgb", "0", "--no-window")
    assert ended.code == 2 and "--ir has a password in it, which ps shows" in ended.out
    assert "hidden" not in ended.out + ended.err and "--rgb has" not in ended.out
    printed = vr_live("--print-config", "--ir", "http://ada:hidden@127.0.0.1:9/a")
    assert printed.code == 0 and 'ir = "http://127.0.0.1:9/a"' in printed.out and "hidden" not in printed.out
