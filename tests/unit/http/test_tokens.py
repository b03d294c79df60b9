"""Whom the gateway lets in."""

from __future__ import annotations

import hashlib

import pytest
from starlette.requests import Request

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.http.problems import ProblemError
from risk_tasks.http.tokens import Caller, Door, Role, read_tokens, require_safe

SECRET = "correct horse"
HASH = hashlib.sha256(SECRET.encode()).hexdigest()
ONE = f'[[tokens]]\nname = "a"\nsha256 = "{HASH}"\nroles = ["read", "check"]\n'


def asked(authorization: str | None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "headers": headers})


def test_a_token_is_known_by_its_hash_and_let_in_for_its_roles():
    door = Door(read_tokens(ONE))

    assert door.is_locked
    assert door.admit(asked(f"Bearer {SECRET}"), (Role.CHECK,)) == Caller("a")
    assert door.admit(asked(f"bearer {SECRET}"), (Role.PUBLISH, Role.READ)) == Caller("a")
    with pytest.raises(ProblemError) as caught:
        door.admit(asked(f"Bearer {SECRET}"), (Role.PUBLISH,))
    assert caught.value.status == 403


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Basic {SECRET}", f"Bearer {HASH}", "Bearer é"],
)
def test_nobody_else_is_let_in(authorization):
    """The hash in the file is no token."""
    with pytest.raises(ProblemError) as caught:
        Door(read_tokens(ONE)).admit(asked(authorization), tuple(Role))

    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


def test_without_tokens_all_are_let_in():
    assert Door(()).admit(asked(None), (Role.OPERATE,)) == Caller("")


BAD_FILES = {
    "nothing": "",
    "no TOML": "tokens = [",
    "no tokens": "tokens = []",
    "no hash": '[[tokens]]\nname = "a"\nroles = ["read"]\n',
    "a token in the place of its hash": ONE.replace(HASH, SECRET),
    "upper case": ONE.replace(HASH, HASH.upper()),
    "no roles": ONE.replace('"read", "check"', ""),
    "an unknown role": ONE.replace("read", "admin"),
    "an unknown field": ONE + 'luck = "7"\n',
    "no name": ONE.replace('"a"', '""'),
    "one name twice": ONE + ONE,
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_none_is_refused_without_its_hashes(what):
    with pytest.raises(InvalidSettingsError) as caught:
        read_tokens(BAD_FILES[what])

    assert caught.value.field == "RISK_TASKS_GATEWAY_TOKENS"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_tokens(host):
    require_safe(host, ())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_another_address_needs_tokens(host):
    require_safe(host, read_tokens(ONE))
    with pytest.raises(InvalidSettingsError) as caught:
        require_safe(host, ())
    assert caught.value.field == "RISK_TASKS_GATEWAY_HOST"
