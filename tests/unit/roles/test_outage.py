"""What a role says when the server is not available at its start."""

from __future__ import annotations

import pytest
import redis

from risk_tasks.connection import connect, transport_errors
from risk_tasks.errors import StartError, TransportError
from risk_tasks.roles.outage import when_available


def failing(error: redis.RedisError):
    """Return a call that the server fails with `error`."""

    def call() -> None:
        with transport_errors(connect("redis://127.0.0.1:1/0")):
            raise error

    return call


def test_the_remedy_of_a_server_that_answers_is_not_to_start_it():
    with pytest.raises(StartError) as caught:
        when_available(failing(redis.ResponseError("MISCONF disk error")), timeout_s=0)

    assert "Free the disk" in caught.value.remedy
    assert "RISK_TASKS_START_TIMEOUT_S" in caught.value.remedy
    assert "Start the server" not in caught.value.remedy


def test_a_refused_password_is_not_waited_for():
    with pytest.raises(TransportError, match="refuses"):
        when_available(failing(redis.AuthenticationError("no")), timeout_s=None)
