"""Errors of redis-py leave a store as `TransportError`."""

from __future__ import annotations

import pytest
import redis

from risk_tasks.connection import Store, connect
from risk_tasks.errors import InvalidSettingsError, TransportError


class Answers(Store):
    """Raises an error in a public method, in a private one, and through both."""

    def fail(self, error: Exception) -> None:
        """Raise `error`."""
        raise error

    def _fail(self, error: Exception) -> None:
        raise error

    def fail_within(self, error: Exception) -> None:
        self._fail(error)


@pytest.fixture
def answers() -> Answers:
    return Answers(connect("redis://:secret@127.0.0.1:1/0"))


@pytest.mark.parametrize("name", ["fail", "fail_within"])
def test_an_error_of_the_server_is_a_transport_error_without_the_password(answers, name):
    error = redis.ResponseError("OOM")

    with pytest.raises(TransportError, match=r"127\.0\.0\.1:1") as caught:
        getattr(answers, name)(error)

    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)


def test_private_methods_and_other_errors_are_unchanged(answers):
    with pytest.raises(redis.ResponseError):
        answers._fail(redis.ResponseError("NOGROUP"))
    with pytest.raises(InvalidSettingsError):
        answers.fail(InvalidSettingsError("no"))
    assert answers.fail.__doc__ == "Raise `error`."
