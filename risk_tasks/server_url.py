"""The URL of a server: one reader for every role, client and library that connects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from risk_tasks.errors import TransportError

_FORMS = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB for TLS, unix:///PATH?db=DB, "
    "or sentinel://HOST:PORT,HOST:PORT/NAME/DB"
)
_PORT, _SENTINEL_PORT = 6379, 26379

#: how each library that we use spells the verification of certificates
_VERIFICATION = {
    **dict.fromkeys(("required", "CERT_REQUIRED"), "required"),
    **dict.fromkeys(("optional", "CERT_OPTIONAL"), "optional"),
    **dict.fromkeys(("none", "CERT_NONE"), "none"),
}
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS = ("ssl_cert_reqs", "ssl_check_hostname", *_TLS_FILES)
_SENTINEL_OPTIONS = ("ssl", "sentinel_ssl", "sentinel_username", "sentinel_password", *_TLS_OPTIONS)

#: the options that each scheme accepts after `?`
_OPTIONS = {
    "redis": ("db",),
    "rediss": ("db", *_TLS_OPTIONS),
    "unix": ("db", "virtual_host"),
    "redis+socket": ("db", "virtual_host"),
    "sentinel": _SENTINEL_OPTIONS,
}
_CLUSTERS = ("redis+cluster", "redis-cluster", "rediss+cluster", "rediss-cluster", "cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrl:
    """Where a server is, and how to connect to it.

    `hosts` are the server, or the Sentinels if `service` names the primary that they watch; `path`
    is a Unix socket instead. `tls` has the `ssl_*` options of redis-py, None without TLS;
    `sentinel_options` are the options of redis-py for the connections to the Sentinels.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = None
    service: str | None = None
    sentinel_options: Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> ServerUrl:
        """Read `url`; a TLS connection verifies certificates unless `ssl_cert_reqs` says otherwise.

        Raises `TransportError`, without a password, for a URL of no accepted form.
        """
        if not isinstance(url, str):
            raise _invalid(type(url).__name__, "expected text")
        scheme, separator, rest = url.partition("://")
        if scheme in _CLUSTERS:
            raise TransportError(
                f"{masked(url)} is a cluster, which is not supported: one script uses keys of "
                "several slots.",
                remedy="Give a server with one primary, or its Sentinels.",
            )
        if not separator or scheme not in _OPTIONS:
            raise _invalid(masked(url), "its scheme is not known")
        try:
            return _READERS[scheme](_split(scheme, rest))
        except ValueError as error:
            reason = str(error) if isinstance(error, _OptionError) else "it cannot be read"
            raise _invalid(masked(url), reason) from None

    @property
    def credentials(self) -> str:
        """`user:password@` with escaped characters, or nothing."""
        if self.password is None and self.username is None:
            return ""
        words = [quote(word or "", safe="") for word in (self.username, self.password)]
        return f"{words[0]}:{words[1]}@"

    @property
    def address(self) -> str:
        """The address for messages, without a password."""
        return self.path or ",".join(f"{host}:{port}" for host, port in self.hosts)


class _OptionError(ValueError):
    """The reason why a URL is refused. It quotes no value: a password may be anywhere."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """A URL with its escaped characters decoded."""

    username: str | None
    password: str | None
    hosts: str
    path: str
    options: Mapping[str, str]

    @property
    def common(self) -> dict[str, Any]:
        return {"username": self.username, "password": self.password}


def _split(scheme: str, rest: str) -> _Parts:
    split = urlsplit(f"//{rest}")
    if split.fragment:
        raise ValueError
    options = {}
    for name, value in parse_qsl(split.query, keep_blank_values=True):
        if name not in _OPTIONS[scheme]:
            known = ", ".join(_OPTIONS[scheme])
            raise _OptionError(f"the options of {scheme}:// are {known}")
        if name in options:
            raise _OptionError(f"it has the option {name} twice")
        options[name] = value
    return _Parts(
        unquote(split.username) if split.username else None,
        unquote(split.password) if split.password is not None else None,
        split.netloc.rpartition("@")[2],
        unquote(split.path),
        options,
    )


def _read_tcp(parts: _Parts) -> ServerUrl:
    db = _db(parts.options.get("db"), parts.path.strip("/"))
    return ServerUrl(hosts=(_host(parts.hosts, _PORT),), db=db, **parts.common)


def _read_tls(parts: _Parts) -> ServerUrl:
    db = _db(parts.options.get("db"), parts.path.strip("/"))
    hosts = (_host(parts.hosts, _PORT),)
    return ServerUrl(hosts=hosts, db=db, tls=_tls(parts.options), **parts.common)


def _read_socket(parts: _Parts) -> ServerUrl:
    if not parts.path.strip("/") or parts.hosts:
        raise _OptionError("it has no path of a socket")
    db = _db(parts.options.get("db"), parts.options.get("virtual_host", "").strip("/"))
    return ServerUrl(path=parts.path, db=db, **parts.common)


def _read_sentinel(parts: _Parts) -> ServerUrl:
    service, _, db = parts.path.strip("/").partition("/")
    if not service:
        raise _OptionError("it does not name the primary that the Sentinels watch")
    options = parts.options
    tls = _tls(options)
    uses_tls, sentinel_uses_tls = _truth(options, "ssl"), _truth(options, "sentinel_ssl")
    if not (uses_tls or sentinel_uses_tls) and options.keys() & _TLS_OPTIONS:
        raise _OptionError("it has options of TLS without ssl=true or sentinel_ssl=true")
    sentinel: dict[str, Any] = {
        name: options[f"sentinel_{name}"]
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    if sentinel_uses_tls:
        sentinel.update(ssl=True, **tls)
    return ServerUrl(
        hosts=tuple(_host(host, _SENTINEL_PORT) for host in parts.hosts.split(",")),
        db=_db(db),
        tls=tls if uses_tls else None,
        service=service,
        sentinel_options=sentinel,
        **parts.common,
    )


_READERS = {
    "redis": _read_tcp,
    "rediss": _read_tls,
    "unix": _read_socket,
    "redis+socket": _read_socket,
    "sentinel": _read_sentinel,
}


def _host(text: str, default_port: int) -> tuple[str, int]:
    split = urlsplit(f"//{text}")
    port = split.port
    return split.hostname or "127.0.0.1", default_port if port is None else port


def _db(*texts: str | None) -> int:
    """Return the database that `texts` name; 0 if none does."""
    named = [text for text in texts if text]
    if not all(text.isdecimal() for text in named):
        raise _OptionError("its database is not a whole number")
    if len(set(map(int, named))) > 1:
        raise _OptionError("it names two databases")
    return int(named[0]) if named else 0


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    verification = options.get("ssl_cert_reqs", "required")
    if verification not in _VERIFICATION:
        raise _OptionError("ssl_cert_reqs is neither required, optional, nor none")
    tls: dict[str, Any] = {name: options[name] for name in _TLS_FILES if name in options}
    tls["ssl_cert_reqs"] = _VERIFICATION[verification]
    # A host name cannot be verified without a certificate.
    tls["ssl_check_hostname"] = tls["ssl_cert_reqs"] == "required" and _truth(
        options, "ssl_check_hostname", default=True
    )
    return tls


def _truth(options: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = options.get(name)
    if text is None:
        return default
    if text.lower() not in _TRUTH:
        raise _OptionError(f"{name} is neither true nor false")
    return _TRUTH[text.lower()]


def _invalid(url: str, reason: str) -> TransportError:
    return TransportError(f"Not a broker URL: {url}: {reason}.", remedy=f"Write it as {_FORMS}.")


def masked(url: str) -> str:
    """Return `url` without its passwords, valid or not, for messages."""
    head, at, tail = url.rpartition("@")
    scheme, _, user = head.partition("://")
    name, colon, _ = user.partition(":")
    shown = f"{scheme}://{name}:***@{tail}" if at and colon else url
    return re.sub(r"(?i)([?&](?:sentinel_)?password=)[^&#]*", r"\1***", shown)


def masked_urls(line: str) -> str:
    """Return `line` without the passwords of the URLs in it."""
    return re.sub(r"\S+://\S+", lambda found: masked(found[0]), line)
