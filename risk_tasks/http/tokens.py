"""Whom the gateway lets in: bearer tokens by their hash, with roles.

::

    [[tokens]]
    name = "order-gateway"
    sha256 = "..."          # of the token; the token itself stands nowhere here
    roles = ["check"]
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from starlette.requests import Request

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.http.problems import ProblemError
from risk_tasks.settings import PREFIX

_FIELD = f"{PREFIX}GATEWAY_TOKENS"


class Role(StrEnum):
    """What a token may be for; none includes another."""

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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request; `name` is that of the token, empty where none are asked for."""

    name: str


def read_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens in a TOML text; raises `InvalidSettingsError` for what names none."""
    try:
        tokens = tuple(msgspec.convert(tomllib.loads(text), _File).tokens)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _refusal(f"Not a list of tokens: {error}.") from None
    if not tokens:
        raise _refusal("It names no token.")
    if len({token.name for token in tokens}) < len(tokens):
        raise _refusal("Two tokens have one name.")
    for token in tokens:
        if not token.name or not token.roles:
            raise _refusal(f"Token {token.name!r} has no name, or no roles.")
        if not re.fullmatch("[0-9a-f]{64}", token.sha256):
            raise _refusal(f"The sha256 of {token.name!r} is none.")
    return tokens


def require_safe(host: str, tokens: Collection[Token]) -> None:
    """Raise `InvalidSettingsError` where other machines would be let in without tokens."""
    if not tokens and not _is_loopback(host):
        raise InvalidSettingsError(
            f"Without tokens the gateway does not listen on {host}.",
            field=f"{PREFIX}GATEWAY_HOST",
            remedy=f"Listen on 127.0.0.1, or name a file of tokens in {_FIELD}_FILE.",
        )


class Door:
    """Lets requests in by their token; without tokens, all of them."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.is_locked = bool(tokens)
        self._tokens = tuple(tokens)

    def admit(self, request: Request, roles: Collection[Role]) -> Caller:
        """Return who asks; raises a `ProblemError` for one who has none of `roles`."""
        if not self.is_locked:
            return Caller("")
        found = self._find(request.headers.get("authorization", ""))
        if found is None:
            raise ProblemError(
                401,
                "unauthorized",
                "No token, or one that is not known.",
                field="Authorization",
                remedy="Send 'Authorization: Bearer TOKEN'.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not set(roles) & set(found.roles):
            raise ProblemError(
                403,
                "forbidden",
                f"Token {found.name!r} has none of the roles {', '.join(roles)}.",
                field="Authorization",
                remedy="Ask for a token with such a role.",
            )
        return Caller(found.name)

    def _find(self, authorization: str) -> Token | None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        # Every one is compared, so that the time tells nothing of which it was.
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


def _refusal(message: str) -> InvalidSettingsError:
    return InvalidSettingsError(
        message, field=_FIELD, remedy="docs/guides/http.md shows what a file of tokens holds."
    )
