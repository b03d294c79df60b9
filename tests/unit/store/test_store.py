"""Errors of redis-py leave a store as `TransportError`; some are repeated during a failover."""

from __future__ import annotations

import pytest
import redis
from redis._parsers.base import BaseParser

from risk_tasks.connection import Store, connect, is_silent
from risk_tasks.errors import InvalidSettingsError, TransportError


class Answers(Store):
    """Raises an error in a public method, in a private one, and through both."""

    def fail(self, error: Exception) -> None:
        """Raise `error`."""
        raise error

    def _fail(self, error: Exception) -> None:
        raise error

    def call(self, errors: list[Exception]) -> None:
        """Raise the next of `errors` until none is left."""
        if errors:
            raise errors.pop()

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


def answer(words: str) -> redis.RedisError:
    """Return the error that redis-py makes of an answer of the server."""
    return BaseParser.parse_error(words)


@pytest.mark.parametrize(
    "words",
    [
        "READONLY You can't write against a read only replica.",
        "NOREPLICAS Not enough good replicas to write.",
        "MASTERDOWN Link with MASTER is down.",
        "LOADING The server is loading its data.",
        "UNBLOCKED The instance state changed.",
        "ERR max number of clients reached",
    ],
)
def test_a_refused_call_is_repeated_during_a_failover(answers, words):
    """The server answered, so no remedy says to start it."""
    answers._client.failover_s = 60.0
    errors = [answer(words)]

    answers.call(errors)

    assert errors == []
    assert not is_silent(answer(words))


def test_an_error_that_another_primary_repeats_is_raised_at_once(answers):
    answers._client.failover_s = 60.0

    with pytest.raises(TransportError, match="refuses"):
        answers.fail(answer("OOM command not allowed"))
