"""Authentication by bearer tokens."""

from __future__ import annotations

import hashlib

import pytest
from starlette.requests import Request

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.http.authentication import Authenticator, Role, read_tokens, require_safe
from risk_tasks.http.problems import ProblemError

SECRET = "correct horse"
HASH = hashlib.sha256(SECRET.encode()).hexdigest()
ONE = f'[[tokens]]\nname = "a"\nsha256 = "{HASH}"\nroles = ["read", "check"]\n'


def request(authorization: str | None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "headers": headers})


def test_a_token_authenticates_by_its_hash_for_its_roles():
    authenticator = Authenticator(read_tokens(ONE))

    assert authenticator.is_required
    assert authenticator.authenticate(request(f"Bearer {SECRET}"), (Role.CHECK,)) == "a"
    roles = (Role.PUBLISH, Role.READ)
    assert authenticator.authenticate(request(f"bearer {SECRET}"), roles) == "a"
    with pytest.raises(ProblemError) as caught:
        authenticator.authenticate(request(f"Bearer {SECRET}"), (Role.PUBLISH,))
    assert caught.value.status == 403
    assert "expected publish" in str(caught.value)


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Basic {SECRET}", f"Bearer {HASH}", "Bearer é"],
)
def test_a_missing_or_unknown_token_is_refused(authorization):
    """The hash in the file is not a token."""
    with pytest.raises(ProblemError) as caught:
        Authenticator(read_tokens(ONE)).authenticate(request(authorization), tuple(Role))

    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


def test_public_operations_require_no_token():
    assert Authenticator(read_tokens(ONE)).authenticate(request(None), ()) == ""


def test_without_tokens_every_request_is_accepted():
    assert Authenticator(()).authenticate(request(None), (Role.OPERATE,)) == ""


BAD_FILES = {
    "empty": "",
    "not TOML": "tokens = [",
    "no tokens": "tokens = []",
    "no hash": '[[tokens]]\nname = "a"\nroles = ["read"]\n',
    "a token instead of its hash": ONE.replace(HASH, SECRET),
    "upper case": ONE.replace(HASH, HASH.upper()),
    "no roles": ONE.replace('"read", "check"', ""),
    "an unknown role": ONE.replace("read", "admin"),
    "an unknown field": ONE + 'luck = "7"\n',
    "no name": ONE.replace('"a"', '""'),
    "one name twice": ONE + ONE,
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_an_invalid_token_file_is_refused_without_disclosing_secrets(case):
    with pytest.raises(InvalidSettingsError) as caught:
        read_tokens(BAD_FILES[case])

    assert caught.value.field == "RISK_TASKS_GATEWAY_TOKENS"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_loopback_address_needs_no_tokens(host):
    require_safe(host, ())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_another_address_needs_tokens(host):
    require_safe(host, read_tokens(ONE))
    with pytest.raises(InvalidSettingsError) as caught:
        require_safe(host, ())
    assert caught.value.field == "RISK_TASKS_GATEWAY_HOST"
