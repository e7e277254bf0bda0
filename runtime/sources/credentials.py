"""User names and passwords of cameras, kept out of command lines, files, logs and messages.

    rtsp://${CAM_USER}:${CAM_PASSWORD}@10.0.0.11/ir    references, to be found in the environment
    rtsp://10.0.0.11/ir                                VR_IR_USERNAME and VR_IR_PASSWORD (VR_RGB_...) are used if set

Values in the environment are written as they are; what an address cannot hold is percent-encoded here (RFC 3986, 2.1).
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from vr.runtime.errors import InputError
from vr.runtime.sources.base import Role

HIDDEN = "***"
_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_QUERY_SECRET = re.compile(r"([?&](pass\w*|pwd|token|key|auth\w*|secret))=(?!\$\{)([^&#]+)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class _Address:
    """scheme://user:password@rest. A user or password that is not there is None; rest begins with the host."""

    scheme: str
    user: str | None
    password: str | None
    rest: str

    @property
    def text(self) -> str:
        if self.user is None:
            return f"{self.scheme}://{self.rest}"
        password = "" if self.password is None else f":{self.password}"
        return f"{self.scheme}://{self.user}{password}@{self.rest}"


def resolve(spec: str, role: Role) -> str:
    """The source as it is to be opened: references replaced, and user name and password filled in.

    spec: of `--ir` or `--rgb`; only an address (`scheme://`) is changed. Raises InputError naming the variable that is
    missing, or the reference that is none.
    """
    address = _parse(spec)
    if address is None:
        return spec
    user, password = (_replaced(part, role, _whole) for part in (address.user, address.password))
    rest, query = _split_query(address.rest)
    rest = f"{_replaced(rest, role, str)}{_replaced(query, role, _whole)}"
    opened = _Address(address.scheme, user, password, rest)
    _check_port(opened, role)
    return _with_login(opened, role).text


def secrets_of(spec: str, role: Role) -> tuple[str, ...]:
    """What `scrub` has to take out of the words of others about this source, longest first; user names are none.

    Passwords as they are and percent-encoded, and what references after the host stand for. Raises what `resolve`
    raises.
    """
    address, opened = _parse(spec), _parse(resolve(spec, role))
    if address is None or opened is None:
        return ()
    found = [os.environ[name] for name, _ in _REFERENCE.findall(address.rest.partition("/")[2])]
    found += [match[3] for match in _QUERY_SECRET.finditer(opened.rest)]
    found += [] if opened.password is None else [opened.password]
    forms = {form for text in found for form in (text, unquote(text), quote(unquote(text), safe=""))}
    return tuple(sorted(filter(None, forms), key=len, reverse=True))


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` in place of every secret."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def has_literal_secret(spec: str) -> bool:
    """Whether a password itself stands in the address, instead of a reference."""
    address = _parse(spec)
    if address is None:
        return False
    return not _is_reference(address.password or "") or _QUERY_SECRET.search(address.rest) is not None


def display_name(spec: str) -> str:
    """The source as messages and logs name it: `rtsp://user:secret@host/path` becomes `rtsp://host/path`."""
    address = _parse(spec)
    if address is None:
        return spec
    rest = _QUERY_SECRET.sub(lambda match: f"{match[1]}={HIDDEN}", address.rest)
    return _Address(address.scheme, None, None, rest).text


def public_address(spec: str) -> str:
    """The source as it may be shown, and written into a file.

    A password is left out with its user name, unless it is a reference; one in the query becomes a reference.
    """
    address = _parse(spec)
    if address is None:
        return spec
    rest = _QUERY_SECRET.sub(lambda match: f"{match[1]}=${{CAMERA_{match[2].upper()}}}", address.rest)
    if _is_reference(address.password or ""):
        return _Address(address.scheme, address.user, address.password, rest).text
    return _Address(address.scheme, None, None, rest).text


def _parse(spec: str) -> _Address | None:
    """None for what is no address."""
    scheme, is_address, rest = spec.partition("://")
    if not is_address:
        return None
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    login, has_login, host = rest[:end].rpartition("@")
    user, has_password, password = login.partition(":")
    if not has_login:
        return _Address(scheme, None, None, rest)
    return _Address(scheme, user, password if has_password else None, host + rest[end:])


def _check_port(address: _Address, role: Role) -> None:
    """Raises InputError where the host ends too early: a password with / in it has cut it off."""
    host = re.split("[/?#]", address.rest, maxsplit=1)[0]
    port = host.rpartition("]")[2].partition(":")[2]
    if port and not port.isdecimal():
        raise InputError(
            f"--{role}: the port of the address is no number; in a user name or password write / as %2F, ? as %3F, "
            "# as %23, @ as %40, : as %3A, or give it in the environment"
        )


def _with_login(address: _Address, role: Role) -> _Address:
    """Filled in from the environment, where the address lacks it."""
    if address.password is not None:
        return address
    names = f"VR_{role.upper()}_USERNAME", f"VR_{role.upper()}_PASSWORD"
    user, password = (_whole(value) if (value := os.environ.get(name)) else None for name in names)
    user = address.user if address.user is not None else user
    if password is not None and user is None:
        raise InputError(f"--{role}: {names[1]} is set, but {names[0]} is not; set both, or neither")
    return _Address(address.scheme, user, password, address.rest)


def _split_query(rest: str) -> tuple[str, str]:
    path, mark, query = rest.partition("?")
    return path, mark + query


def _replaced(text: str | None, role: Role, encode: Callable[[str], str]) -> str | None:
    """`${NAME}` as the environment has it, encoded for its place."""

    def value(match: re.Match[str]) -> str:
        name, closed = match.groups()
        if not closed or not _NAME.fullmatch(name):
            raise InputError(f"--{role}: the address has ${{ without the name of a variable and }}; expected ${{NAME}}")
        if name not in os.environ:
            raise InputError(f"--{role}: the address needs {name}, which is not set; set it in the environment")
        return encode(os.environ[name])

    return None if text is None else _REFERENCE.sub(value, text)


def _whole(text: str) -> str:
    return quote(text, safe="")


def _is_reference(text: str) -> bool:
    return _REFERENCE.sub("", text) == ""
