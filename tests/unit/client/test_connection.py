"""Connections: nothing is sent before it is needed, and no message shows a password."""

from __future__ import annotations

from traceback import format_exception
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client import RiskClient
from risk_tasks.connection import connect, text, transport_errors
from risk_tasks.errors import InvalidPortfolioError, RiskTasksError, TransportError
from risk_tasks.server_url import masked

SECRET = "hunter2"  # a password that stands nowhere else in these addresses

URLS = {
    "password alone": (f"redis://:{SECRET}@host:6379/0", "redis://:***@host:6379/0"),
    "user and password": (f"redis://me:{SECRET}@host:6379/0", "redis://me:***@host:6379/0"),
    "no port": (f"rediss://me:{SECRET}@host/3", "rediss://me:***@host/3"),
    "address of six": (f"redis://:{SECRET}@[::1]:6379/0", "redis://:***@[::1]:6379/0"),
    "no password": ("redis://host:6379/0", "redis://host:6379/0"),
    "user alone": ("redis://me@host:6379/0", "redis://me@host:6379/0"),
}


@pytest.mark.parametrize(("url", "expected"), URLS.values(), ids=URLS.keys())
def test_an_address_is_shown_without_its_password(url, expected):
    """The rest is unchanged."""
    assert masked(url) == expected


LEAKS = {
    "as an option": f"redis://host:6379/0?password={SECRET}",
    "with a slash": f"redis://:a/{SECRET}@host:6379/0",
    "with a question mark": f"redis://:a?{SECRET}@host:6379/0",
    "with a hash": f"redis://:a#{SECRET}@host:6379/0",
    "before a slash": f"redis://:{SECRET}/a@host:6379/0",
    "with an at": f"redis://:{SECRET}@a@host:6379/0",
    "with a bracket": f"redis://:a[{SECRET}@host:6379/0",
    "with a bad port": f"redis://:{SECRET}@host:port/0",
    "on a socket": f"unix://me:{SECRET}@/tmp/redis.sock",
    "without a host": f"redis://:{SECRET}@/0",
}


@pytest.mark.parametrize("url", LEAKS.values(), ids=LEAKS.keys())
def test_a_password_is_masked_also_in_an_invalid_address(url):
    """Characters that should have been escaped do not reveal it."""
    assert SECRET not in masked(url)
    assert SECRET not in repr(RiskClient(url))


@pytest.mark.parametrize("url", LEAKS.values(), ids=LEAKS.keys())
def test_no_error_of_a_bad_address_shows_a_password(url):
    """Neither in the error nor in its causes, which a log prints too."""
    try:
        connect(url)
    except TransportError as error:
        printed = "".join(format_exception(error))
        assert SECRET not in printed


@given(st.text(min_size=1, max_size=12), st.none() | st.integers(1, 65535))
def test_no_password_of_any_form_is_shown(password, port):
    """Two addresses that differ only by their password look the same."""
    host = "host" if port is None else f"host:{port}"

    shown = masked(f"redis://me:{quote(password, safe='')}@{host}/0")

    assert shown == f"redis://me:***@{host}/0"


@pytest.mark.parametrize("url", ["host:6379", "http://host", "", "redis://host:port/0", None, 6379])
def test_an_invalid_address_is_refused(url):
    """The error shows a valid one."""
    with pytest.raises(TransportError, match="redis://HOST:PORT/DB"):
        connect(url)


def test_an_error_of_the_server_names_it_and_no_password():
    """Nothing listens at port 1."""
    client = connect(f"redis://:{SECRET}@127.0.0.1:1/0")

    with pytest.raises(TransportError, match=r"127\.0\.0\.1:1") as caught, transport_errors(client):
        client.ping()

    assert SECRET not in str(caught.value)
    assert caught.value.retriable


def call_on_a_socket():
    """Call a server on a socket that does not exist."""
    client = connect("unix:///nowhere/redis.sock")
    with transport_errors(client):
        client.ping()


def test_an_address_of_a_socket_is_used_or_refused():
    """Always with an error of risk_tasks."""
    with pytest.raises(TransportError, match=r"/nowhere/redis\.sock"):
        call_on_a_socket()


def test_a_server_that_is_down_raises_within_two_seconds():
    """After two attempts to connect and a pause, or one answer that does not arrive."""
    kwargs = connect("redis://host").connection_pool.connection_kwargs

    retry = kwargs["retry"]
    assert retry.get_retries() == 1
    assert 2 * kwargs["socket_connect_timeout"] + retry._backoff.compute(1) <= 2.0
    assert kwargs["socket_timeout"] <= 2.0
    assert kwargs["socket_keepalive"]


def test_an_error_of_risk_tasks_is_not_converted():
    """Only errors of the Redis library are."""
    with pytest.raises(KeyError), transport_errors(connect("redis://host")):
        raise KeyError


def test_names_of_the_server_are_texts():
    """Both from decoded and from raw answers."""
    assert text("größe".encode()) == text("größe") == "größe"


def test_a_client_shows_its_address_and_timeout():
    """Without a secret."""
    client = RiskClient(f"redis://:{SECRET}@host:6379/0", timeout_s=2.5)

    assert repr(client) == "RiskClient('redis://:***@host:6379/0', timeout_s=2.5)"
    assert SECRET not in str(client)


def test_making_a_client_sends_nothing():
    """No server listens at this address."""
    with RiskClient("redis://127.0.0.1:1/0") as client:
        with pytest.raises(InvalidPortfolioError) as caught:
            client.check_many([7])

        assert caught.value.field == "portfolios[0]"
        assert "found int" in str(caught.value)


def test_a_closed_client_refuses_calls():
    """A second close changes nothing."""
    client = RiskClient("redis://127.0.0.1:1/0")
    assert repr(client).endswith("timeout_s=5)")
    client.close()
    client.close()

    with pytest.raises(TransportError, match="closed"):
        client.check_many([])


def test_a_call_without_a_server_says_which_did_not_answer():
    """In time, as an error of risk_tasks."""
    with (
        RiskClient("redis://127.0.0.1:1/0") as client,
        pytest.raises(RiskTasksError, match=r"127\.0\.0\.1:1"),
    ):
        client.load_market()
