"""Markets that change while checks run: a check uses the market of its stamp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from risk_tasks import Limit, LimitSet, MarketSnapshot, Portfolio, RiskClient
from risk_tasks.errors import DecodeError, InvalidMarketError, NoMarketError
from risk_tasks.keys import SUPERSEDED_MARKET_TTL_S, limits_key, market_key, panel_key
from risk_tasks.store.published import LimitStore, MarketStore
from tests.integration.support import unique

pytestmark = pytest.mark.integration

LATER = datetime(2023, 1, 3, 21, tzinfo=UTC)


@pytest.fixture
def name(risk, market) -> str:
    """A market name of this test, with the sample market."""
    name = unique("market")
    risk.publish_market(market, name)
    return name


@pytest.fixture
def prices(market) -> dict[str, float]:
    """Twice the price of every instrument."""
    return {name: 2.0 * price for name, price in zip(market.instruments, market.prices.tolist())}


@pytest.fixture
def share() -> Portfolio:
    return Portfolio(unique(), {"AAPL": 1.0})


def value(risk: RiskClient, portfolio: Portfolio, market: str) -> float:
    report = risk.check(portfolio, measures=["market_value"], market=market)
    return report.measures["market_value"].value


def test_a_market_is_found_by_name_and_by_id(risk, market, name, share):
    """Publishing the same content again returns the same id."""
    assert risk.publish_market(market, name) == market.id

    by_name, by_id = (risk.check(share, market=given) for given in (name, market.id))

    assert by_name.market_id == by_id.market_id == market.id
    loaded = risk.load_market(name)
    assert (loaded.id, loaded.panel_id) == (market.id, market.panel_id)
    assert risk.load_market(unique()) is None


def test_new_prices_are_a_new_market_on_the_same_panel(risk, market, name, prices):
    """The returns are not sent again; id, time and prices are new."""
    market_id = risk.publish_prices(prices, as_of=LATER, name=name)

    loaded = risk.load_market(name)
    assert market_id == loaded.id != market.id
    assert loaded.panel_id == market.panel_id
    assert loaded.as_of == LATER
    assert loaded.prices.tolist() == list(prices.values())
    assert dict(loaded.scenarios) == dict(market.scenarios)


def test_a_check_after_publishing_uses_the_new_prices(risk, market, name, prices, share):
    """Each time; and the old market can still be used by its id."""
    old = value(risk, share, name)
    for times in range(1, 6):
        marks = {name: price * times for name, price in prices.items()}
        market_id = risk.publish_prices(marks, as_of=LATER + timedelta(times), name=name)

        report = risk.check(share, measures=["market_value"], market=name)

        assert report.market_id == market_id
        assert report.as_of == LATER + timedelta(times)
        assert report.measures["market_value"].value == marks["AAPL"]
    assert value(risk, share, market.id) == old


def without(prices: dict[str, float], name: str) -> dict[str, float]:
    return {key: price for key, price in prices.items() if key != name}


BAD_PRICES = {
    "unknown": (lambda prices: {**prices, "NOPE": 1.0}, "NOPE"),
    "missing": (lambda prices: without(prices, "XOM"), "XOM"),
    "none": (lambda prices: {}, "AAPL"),
    "a list": (lambda prices: {**prices, "AMD": [1.0]}, "AMD"),
    "a text": (lambda prices: {**prices, "AMD": "1.0"}, "AMD"),
    "no mapping": (lambda prices: None, "NoneType"),
    "nan": (lambda prices: {**prices, "AMD": float("nan")}, "AMD"),
}


@pytest.mark.parametrize(("change", "named"), BAD_PRICES.values(), ids=BAD_PRICES.keys())
def test_unknown_missing_or_invalid_prices_are_refused(risk, market, name, prices, change, named):
    """The error names the instrument, and the market is unchanged."""
    with pytest.raises(InvalidMarketError) as caught:
        risk.publish_prices(change(prices), as_of=LATER, name=name)

    assert named in str(caught.value)
    assert caught.value.field.startswith("prices")
    assert risk.load_market(name).id == market.id


def test_prices_need_a_market(risk, prices):
    with pytest.raises(NoMarketError):
        risk.publish_prices(prices, as_of=LATER, name=unique())


def test_a_time_without_a_time_zone_is_refused(risk, name, prices):
    with pytest.raises(InvalidMarketError) as caught:
        risk.publish_prices(prices, as_of=datetime(2023, 1, 3), name=name)

    assert caught.value.field == "as_of"


# --- what is kept on the server


def small(n: int = 1, shift: float = 0.0) -> MarketSnapshot:
    returns = np.linspace(-0.1, 0.1, 5 * n).reshape(5, n) + shift
    return MarketSnapshot(LATER, [f"I{index}" for index in range(n)], np.ones(n), returns)


def lifetimes(server, *markets: MarketSnapshot) -> list[tuple[int, int]]:
    """Return the remaining seconds of markets and panels; -1 means no expiry."""
    client = server.client
    return [(client.ttl(market_key(m.id)), client.ttl(panel_key(m.panel_id))) for m in markets]


@pytest.fixture
def publisher(server) -> Iterator[RiskClient]:
    with RiskClient(server.url) as risk:
        yield risk


def test_a_superseded_market_is_kept_for_a_day(server, publisher):
    """For blocks with its stamp; then it expires, and its panel too."""
    old, new = small(shift=0.0), small(shift=0.01)
    publisher.publish_market(old)
    publisher.publish_market(new)

    (old_left, old_panel_left), new_left = lifetimes(server, old, new)

    assert new_left == (-1, -1)
    for left in (old_left, old_panel_left):
        assert SUPERSEDED_MARKET_TTL_S - 60 < left <= SUPERSEDED_MARKET_TTL_S


def test_a_panel_in_use_does_not_expire(server, publisher):
    """New prices supersede the old prices, not the returns of both."""
    old = small()
    publisher.publish_market(old)
    publisher.publish_prices({"I0": 2.0}, as_of=LATER, name="default")

    ((marks_left, panel_left),) = lifetimes(server, old)

    assert marks_left > 0
    assert panel_left == -1


def test_a_market_with_another_name_does_not_expire(server, publisher):
    """It is superseded only if no name points to it."""
    shared = small()
    for name in ("a", "b"):
        publisher.publish_market(shared, name)
    publisher.publish_market(small(shift=0.01), "a")
    assert lifetimes(server, shared) == [(-1, -1)]

    publisher.publish_market(small(shift=0.01), "b")

    assert all(left > 0 for left in lifetimes(server, shared)[0])


def test_a_market_that_is_published_again_does_not_expire(server, publisher):
    """Nor does its panel."""
    old = small()
    for market in (old, small(shift=0.01), old):
        publisher.publish_market(market)

    assert lifetimes(server, old) == [(-1, -1)]


def test_new_prices_keep_a_panel_that_was_about_to_expire(server, publisher, monkeypatch):
    """Another market is published between reading the old one and publishing its new prices."""
    publisher.publish_market(small())
    load = MarketStore.load

    def load_and_be_overtaken(self, market_id):
        loaded = load(self, market_id)
        publisher.publish_market(small(shift=0.01))
        return loaded

    monkeypatch.setattr(MarketStore, "load", load_and_be_overtaken)
    market_id = publisher.publish_prices({"I0": 2.0}, as_of=LATER)
    monkeypatch.undo()

    current = publisher.load_market()
    assert current.id == market_id
    assert lifetimes(server, current) == [(-1, -1)]


def test_new_prices_send_the_panel_again_if_it_has_expired(server, publisher, monkeypatch):
    """It expires between reading the market and publishing its new prices."""
    publisher.publish_market(small())
    load = MarketStore.load

    def load_and_lose_the_panel(self, market_id):
        loaded = load(self, market_id)
        server.client.delete(panel_key(loaded.panel_id))
        return loaded

    monkeypatch.setattr(MarketStore, "load", load_and_lose_the_panel)
    market_id = publisher.publish_prices({"I0": 2.0}, as_of=LATER)
    monkeypatch.undo()

    assert publisher.load_market().id == market_id


def test_a_damaged_limit_set_is_a_decode_error(server, publisher):
    limit_set = LimitSet("damaged", [Limit("volatility", hard=1.0)])
    publisher.publish_limits(limit_set)
    server.client.set(limits_key(limit_set.version), b"{")

    with pytest.raises(DecodeError, match="limit set"):
        LimitStore(server.client).load(limit_set.version)


def test_a_version_of_a_limit_set_is_kept(server, publisher):
    """Blocks with its stamp find it after another version was published."""
    old = LimitSet("s", [Limit("volatility", hard=1.0)])
    new = replace(old, limits=[Limit("volatility", hard=2.0)])

    for limit_set in (old, new):
        publisher.publish_limits(limit_set)

    assert old.version != new.version
    for limit_set in (old, new):
        assert server.client.ttl(limits_key(limit_set.version)) == -1
