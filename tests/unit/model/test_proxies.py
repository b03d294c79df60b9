"""Returns of proxies before the first price of a young instrument."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.proxies import with_proxies

NAN = float("nan")
DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(6)]
RETURNS = np.array(
    [
        # OLD, TECH, MID, NEW, NEVER
        [0.01, 0.02, NAN, NAN, NAN],
        [0.03, 0.04, NAN, NAN, NAN],
        [NAN, 0.06, 0.07, NAN, NAN],
        [0.05, 0.08, 0.09, NAN, NAN],
        [0.07, 0.10, 0.11, 0.50, NAN],
        [0.09, 0.12, NAN, NAN, NAN],
    ]
)
NAMES = ["OLD", "TECH", "MID", "NEW", "NEVER"]
TAGS = {name: {"sector": "technology"} for name in ("TECH", "MID", "NEW")}


def market(**change) -> MarketSnapshot:
    fields = {"dates": DAYS, "tags": TAGS, **change}
    return MarketSnapshot(datetime(2024, 1, 6, tzinfo=UTC), NAMES, np.ones(5), RETURNS, **fields)


def column(proxies, name, **change):
    found = with_proxies(market(**change), proxies)
    return found.returns[:, NAMES.index(name)].tolist(), found.findings


def same(found, expected):
    return np.array_equal(found, expected, equal_nan=True)


def test_returns_before_the_first_one_are_those_of_the_proxy():
    """And no others: a later gap stays, and so does a gap of the proxy."""
    returns, (finding,) = column({"NEW": "OLD"}, "NEW")

    assert same(returns, [0.01, 0.03, NAN, 0.05, 0.50, NAN])
    assert str(finding) == "proxied:NEW"
    assert finding.detail == "OLD until 2024-01-05: 3 of 6 returns"


def test_a_tag_gives_the_mean_of_the_others_that_have_a_return():
    returns, (finding,) = column({"NEW": {"sector": "technology"}}, "NEW")

    assert same(returns, [0.02, 0.04, (0.06 + 0.07) / 2, (0.08 + 0.09) / 2, 0.50, NAN])
    assert finding.detail == "mean of 2 with sector=technology until 2024-01-05: 4 of 6 returns"


def test_an_instrument_without_returns_has_those_of_its_proxy_everywhere():
    returns, (finding,) = column({"NEVER": "TECH"}, "NEVER", dates=None)

    assert same(returns, RETURNS[:, 1])
    assert finding.detail == "TECH in all rows: 6 of 6 returns"


def test_a_proxy_may_have_a_proxy_in_any_order():
    """Each is filled before those that need it."""
    for proxies in ({"NEW": "MID", "MID": "TECH"}, {"MID": "TECH", "NEW": "MID"}):
        returns, findings = column(proxies, "NEW")

        assert same(returns, [0.02, 0.04, 0.07, 0.09, 0.50, NAN])
        assert {str(one) for one in findings} == {"proxied:NEW", "proxied:MID"}


def test_an_instrument_that_is_not_young_keeps_its_returns():
    """A list of proxies stays valid when the window has moved past the first price."""
    found = with_proxies(market(), {"OLD": "TECH"})

    assert same(found.returns, RETURNS)
    assert found.findings == ()


def test_the_id_of_a_market_depends_on_the_returns_of_its_proxies():
    assert with_proxies(market(), {"NEW": "OLD"}).id != market().id
    assert with_proxies(market(), {}).id == market().id


REFUSED = {
    "unknown instrument": ({"IPO": "OLD"}, "'IPO' is not an instrument", "IPO"),
    "unknown proxy": ({"NEW": "SPY"}, "The proxy 'SPY' is not an instrument", "NEW"),
    "younger proxy": (
        {"MID": "NEW"},
        "The returns of NEW start at 2024-01-05, those of MID at 2024-01-03: the proxy is itself",
        "MID",
    ),
    "proxy without returns": ({"NEW": "NEVER"}, "NEVER start at no row", "NEW"),
    "itself": ({"NEW": "NEW"}, "The proxies form a circle: NEW, NEW", "NEW"),
    "circle": ({"NEW": "MID", "MID": "NEW"}, "The proxies form a circle: NEW, MID, NEW", "NEW"),
    "unknown tag": ({"NEW": {"sector": "energy"}}, "No other instrument has the tag", "NEW"),
    "two tags": ({"NEW": {"sector": "a", "country": "b"}}, "Not a proxy", "NEW"),
    "no text": ({"NEW": 1}, "Not a proxy: 1", "NEW"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_proxy_that_cannot_serve_is_refused(case):
    proxies, message, name = REFUSED[case]

    with pytest.raises(InvalidMarketError) as refused:
        with_proxies(market(), proxies)

    assert message in refused.value.message
    assert refused.value.field == f"proxies[{name!r}]"
    assert refused.value.remedy


@given(st.data())
def test_no_return_that_exists_is_ever_changed(data):
    """For any panel and any accepted proxies: only missing returns before the first are filled."""
    cells = st.floats(-0.5, 0.5) | st.just(NAN)
    panel = np.array(data.draw(st.lists(st.lists(cells, min_size=4, max_size=4), min_size=1)))
    names = list("abcd")
    proxies = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(names)))
    before = MarketSnapshot(datetime(2024, 1, 6, tzinfo=UTC), names, np.ones(4), panel)
    try:
        after = with_proxies(before, proxies)
    except InvalidMarketError:
        return

    changed = ~((after.returns == panel) | (np.isnan(panel) & np.isnan(after.returns)))
    for row, at in zip(*np.nonzero(changed), strict=True):
        assert names[at] in proxies
        assert np.isnan(panel[: row + 1, at]).all()
