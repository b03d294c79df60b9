"""Authentication by bearer tokens, which a TOML file lists by their hashes and roles.

::

    [[tokens]]
    name = "order-gateway"
    sha256 = "..."          # of the token; the file does not contain the token itself
    roles = ["check"]
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import tomllib
from collections.abc import Collection, Sequence
from enum import StrEnum

import msgspec
from starlette.requests import Request

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.http.problems import ProblemError
from risk_tasks.settings import PREFIX

_FIELD = f"{PREFIX}GATEWAY_TOKENS"


class Role(StrEnum):
    """A permission of a token. No role includes another."""

    READ = "read"
    CHECK = "check"
    PUBLISH = "publish"
    OPERATE = "operate"


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token by the SHA-256 of its text, in hexadecimal."""

    name: str
    sha256: str
    roles: tuple[Role, ...]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    tokens: list[Token]


def read_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens in a TOML text. Raises `InvalidSettingsError` for an invalid text."""
    try:
        tokens = tuple(msgspec.convert(tomllib.loads(text), _File).tokens)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _invalid_file(f"The token file is invalid: {error}.") from None
    if not tokens:
        raise _invalid_file("The token file has no tokens: expected at least one.")
    if len({token.name for token in tokens}) < len(tokens):
        raise _invalid_file("Two tokens have the same name: expected different names.")
    for token in tokens:
        if not token.name or not token.roles:
            raise _invalid_file(f"Token {token.name!r} lacks a name or roles: expected both.")
        if not re.fullmatch("[0-9a-f]{64}", token.sha256):
            raise _invalid_file(f"The sha256 of {token.name!r} is not 64 lower-case hex digits.")
    return tokens


def require_safe(host: str, tokens: Collection[Token]) -> None:
    """Raise `InvalidSettingsError` for a host that other machines reach without tokens."""
    if not tokens and not _is_loopback(host):
        raise InvalidSettingsError(
            f"The gateway has no tokens and would listen on {host}: expected a loopback address.",
            field=f"{PREFIX}GATEWAY_HOST",
            remedy=f"Listen on 127.0.0.1, or set {_FIELD}_FILE to a file of tokens.",
        )


class Authenticator:
    """Finds the token of a request and checks its roles; without tokens it accepts all requests."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.is_required = bool(tokens)
        self._tokens = tuple(tokens)

    def authenticate(self, request: Request, roles: Collection[Role]) -> str:
        """Return the name of the request's token, empty where none is required.

        One of `roles` suffices; an operation without roles requires no token. Raises `ProblemError`
        401 without a known token, 403 without one of the roles.
        """
        if not self.is_required or not roles:
            return ""
        token = self._find(request.headers.get("authorization", ""))
        if token is None:
            raise ProblemError(
                401,
                "unauthorized",
                "The bearer token is missing or unknown.",
                field="Authorization",
                remedy="Send 'Authorization: Bearer TOKEN'.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not set(roles) & set(token.roles):
            raise ProblemError(
                403,
                "forbidden",
                f"Token {token.name!r} has roles {', '.join(token.roles)}: "
                f"expected {' or '.join(roles)}.",
                field="Authorization",
                remedy="Use a token with such a role.",
            )
        return token.name

    def _find(self, authorization: str) -> Token | None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        # Compare all tokens: the time then does not depend on which one matches.
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _invalid_file(message: str) -> InvalidSettingsError:
    return InvalidSettingsError(
        message, field=_FIELD, remedy="docs/guides/http.md shows the format of a token file."
    )
