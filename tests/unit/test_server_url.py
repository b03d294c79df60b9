"""The reader of server URLs: each accepted form, and a refusal that shows no password."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import TransportError
from risk_tasks.server_url import ServerUrl

SECRET = "hunter2"
VERIFIED = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host", ServerUrl(hosts=(("host", 6379),))),
        ("redis://[::1]:7/3", ServerUrl(hosts=(("::1", 7),), db=3)),
        ("redis://host:7?db=2", ServerUrl(hosts=(("host", 7),), db=2)),
        (
            "redis://me:a%40b@host/1",
            ServerUrl(hosts=(("host", 6379),), db=1, username="me", password="a@b"),
        ),
        ("rediss://host:7/0", ServerUrl(hosts=(("host", 7),), tls=VERIFIED)),
        (
            "rediss://host?ssl_cert_reqs=CERT_NONE",
            ServerUrl(
                hosts=(("host", 6379),),
                tls={"ssl_cert_reqs": "none", "ssl_check_hostname": False},
            ),
        ),
        (
            "rediss://host?ssl_ca_certs=/ca.crt&ssl_certfile=/me.crt&ssl_keyfile=/me.key",
            ServerUrl(
                hosts=(("host", 6379),),
                tls={
                    "ssl_ca_certs": "/ca.crt",
                    "ssl_certfile": "/me.crt",
                    "ssl_keyfile": "/me.key",
                    **VERIFIED,
                },
            ),
        ),
        ("unix:///run/r.sock?db=4", ServerUrl(path="/run/r.sock", db=4)),
        ("unix://:pw@/run/r.sock", ServerUrl(path="/run/r.sock", password="pw")),
        ("redis+socket:///run/r.sock?virtual_host=4", ServerUrl(path="/run/r.sock", db=4)),
        (
            "sentinel://:pw@one:1,two/primary/5?sentinel_password=other",
            ServerUrl(
                hosts=(("one", 1), ("two", 26379)),
                db=5,
                password="pw",
                service="primary",
                sentinel_options={"password": "other"},
            ),
        ),
        (
            "sentinel://one/primary?ssl=true&sentinel_ssl=true&ssl_ca_certs=/ca.crt",
            ServerUrl(
                hosts=(("one", 26379),),
                tls={"ssl_ca_certs": "/ca.crt", **VERIFIED},
                service="primary",
                sentinel_options={"ssl": True, "ssl_ca_certs": "/ca.crt", **VERIFIED},
            ),
        ),
    ],
)
def test_each_form_is_read(url, expected):
    found = ServerUrl.parse(url)

    assert found == ServerUrl(**{**_fields(expected), "sentinel_options": found.sentinel_options})
    assert (found.sentinel_options or {}) == (expected.sentinel_options or {})


def _fields(url: ServerUrl) -> dict[str, object]:
    return {name: getattr(url, name) for name in ServerUrl.__slots__}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis-cluster://host:1", "cluster"),
        ("sentinel://one:1", "does not name the primary"),
        ("unix://", "no path"),
        ("redis://host/first", "not a whole number"),
        ("redis://host/1?db=2", "two databases"),
        ("unix:///run/r.sock?db=1&virtual_host=2", "two databases"),
        ("rediss://host?ssl_cert_reqs=required&ssl_cert_reqs=none", "ssl_cert_reqs twice"),
        ("sentinel://one/primary?ssl_ca_certs=/ca.crt", "without ssl=true or sentinel_ssl=true"),
        ("sentinel://one/primary?ssl=no&ssl_certfile=/me.crt", "without ssl=true"),
        ("redis://host?ssl_cert_reqs=none", "the options of redis:// are db"),
        ("rediss://host?ssl_cert_reqs=maybe", "neither required, optional, nor none"),
        ("rediss://host?ssl_check_hostname=perhaps", "neither true nor false"),
        ("memcached://host", "scheme"),
        ("host:6379", "scheme"),
        (None, "expected text"),
    ],
)
def test_another_form_is_refused_with_the_reason(url, reason):
    with pytest.raises(TransportError, match=reason):
        ServerUrl.parse(url)


@given(
    st.sampled_from(["redis://{}@host/0", "unix://{}@/run/r.sock", "sentinel://{}@one:1/primary"]),
    st.text(min_size=1).filter(lambda text: text.isprintable()),
    st.text(min_size=1).filter(lambda text: text.isprintable()),
)
def test_an_escaped_user_and_password_are_read_and_written_back(form, user, password):
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"

    found = ServerUrl.parse(form.format(credentials))

    assert (found.username, found.password) == (user, password)
    assert found.credentials == f"{credentials}@"


@given(st.text(alphabet="/?#@:&=%[]a0", max_size=20))
def test_no_refusal_shows_a_password(noise):
    said = ""
    try:
        said = repr(ServerUrl.parse(f"redis://:{noise}{SECRET}{noise}@host:6379/0"))
    except TransportError as error:
        said = str(error)

    assert SECRET not in said
