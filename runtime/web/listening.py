"""Where the page is served, and who may see it."""

import ipaddress
import os
import re
import secrets
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from vr.runtime.errors import InputError
from vr.runtime.live_options import RunOptions
from vr.runtime.option import AUTO

DEFAULT_HOST, DEFAULT_PORT = "localhost", 8080
TOKEN_VARIABLE = "VR_WEB_TOKEN"
_PORTS_TRIED = 20
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
"""Characters that need no encoding in an address or a cookie (RFC 3986, 2.3)."""
_GENERATED_BYTES = 24
_BACKLOG = 64
_SEND_BUFFER_BYTES, _UNSENT_BYTES = 256 * 1024, 16 * 1024
"""What the system keeps for a slow viewer would otherwise grow to megabytes: seconds of old pictures. Linux can limit
what is not on its way yet, and so leaves fast but distant viewers their due.
"""
_NOWHERE = "192.0.2.1"
"""An address for documentation (RFC 5737): nothing is sent there, it only tells which way out this machine has."""


@dataclass(frozen=True)
class Place:
    """Where to listen. host: a name or an address. port: 0 takes any. is_default: another port will do."""

    host: str
    port: int
    is_default: bool = False

    @staticmethod
    def parse(text: str) -> "Place":
        """Of `--web`: auto, HOST:PORT, HOST, PORT or [IPV6]:PORT. Raises InputError."""
        if text == AUTO:
            return Place(DEFAULT_HOST, DEFAULT_PORT, is_default=True)
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+)(?::(\d{1,5}))?", text)
        if found is None or int(found[2] or 0) > 65535:
            raise InputError(f"--web is {text!r}; expected HOST:PORT, for example localhost:8080 or 0.0.0.0:8080")
        if found[1].isdecimal() and found[2] is None:
            return Place.parse(f"{DEFAULT_HOST}:{found[1]}")
        return Place(found[1].strip("[]"), DEFAULT_PORT if found[2] is None else int(found[2]))


@dataclass(frozen=True)
class Listening:
    """An open socket, and what those who come through it must show.

    address, port: as bound. host: as asked for. token: None where none is asked for. says_token: the token was made for
    this run, so its user has yet to be told. name: by which a reverse proxy is reached, lower case, or None.
    """

    socket: socket.socket
    address: str
    port: int
    host: str
    token: str | None = None
    says_token: bool = False
    name: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return _is_loopback(self.address)

    @property
    def url(self) -> str:
        """For a browser; with the token if it was made for this run."""
        address = ipaddress.ip_address(self.address)
        host = _own_address(address.version) if address.is_unspecified else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/" + (f"?token={self.token}" if self.says_token else "")

    def accepts_host(self, host: str) -> bool:
        """Whether a request to this host (without port) may be meant for us: an address that a foreign name was bent
        to (DNS rebinding) is not.
        """
        host = host.lower().strip("[]")
        if host == self.name:
            return True
        address, bound = _address_of(host), ipaddress.ip_address(self.address)
        if address is not None:
            return address == bound or bound.is_unspecified or (self.is_loopback and address.is_loopback)
        own = socket.gethostname().lower()
        names = {"localhost"} if self.is_loopback else {"localhost", own, own.split(".")[0], f"{own}.local"}
        return host in names | {self.host.lower()}

    def close(self) -> None:
        """Stops listening."""
        self.socket.close()


def listen(options: RunOptions) -> Listening:
    """Opens the socket of `--web`. Raises InputError for a place that is taken or wrong, and for a token that is not
    fit.
    """
    place = Place.parse(options.web or AUTO)
    token = read_token(options.web_token)
    opened = _bound(place)
    address, port = opened.getsockname()[:2]
    name = None if options.web_name is None else options.web_name.lower()
    if token is not None or _is_loopback(address):
        return Listening(opened, address, port, place.host, token, name=name)
    if options.quiet:
        opened.close()
        raise InputError(
            f"--web {place.host}:{port} is reached by others and needs a token, and --quiet would hide one made now; "
            f"set {TOKEN_VARIABLE} or --web-token"
        )
    token = secrets.token_urlsafe(_GENERATED_BYTES)
    return Listening(opened, address, port, place.host, token, says_token=True, name=name)


def read_token(file: Path | None) -> str | None:
    """Of a file, else of the environment; None if there is none. Raises InputError."""
    where, text = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "")
    if file is not None:
        where = str(file)
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the token in {file}: {error}; expected a file with one line") from error
    elif text == "":
        return None
    if not _TOKEN.fullmatch(text):
        raise InputError(f"the token of {where} does not fit; expected 16 to 200 letters, digits, or any of . _ ~ -")
    return text


def _bound(place: Place) -> socket.socket:
    """Raises InputError."""
    ports = range(place.port, place.port + _PORTS_TRIED) if place.is_default else [place.port]
    failure: OSError | None = None
    for port in ports:
        try:
            return open_socket(replace(place, port=port))
        except OSError as error:
            failure = error
    assert failure is not None
    raise InputError(
        f"cannot serve at {place.host}:{place.port}: {failure.strerror or failure}; expected an address of this "
        "machine and a free port, for example --web localhost:8081"
    ) from failure


def open_socket(place: Place) -> socket.socket:
    """Listens there. Raises OSError."""
    infos = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # localhost may come as ::1 first; what is typed most is 127.0.0.1.
    family, kind, protocol, _, address = min(infos, key=lambda info: info[0] != socket.AF_INET)
    opened = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if sys.platform == "linux":
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        opened.bind(address)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address_of(host)
    return address is not None and address.is_loopback


def _own_address(version: int) -> str:
    """By which others reach this machine, as far as it can tell; else its name."""
    if version == 4:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((_NOWHERE, 9))
                return probe.getsockname()[0]
            except OSError:
                pass
    return socket.gethostname()
