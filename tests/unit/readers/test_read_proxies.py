"""Proxies from TOML files, from options of the command, and in `read_market`."""

from __future__ import annotations

import numpy as np
import pytest

from risk_tasks import read_market, read_proxies
from risk_tasks.cli.published import read_proxy_options
from risk_tasks.errors import InputFileError, InvalidSettingsError

PRICES = "date,SPY,ARM,NVDA\n2024-01-01,100,,50\n2024-01-02,110,,55\n2024-01-03,121,7,66\n"


def test_a_file_has_an_instrument_or_a_tag_for_each_name(tmp_path):
    file = tmp_path / "proxies.toml"
    file.write_text('ARM = "SPY"\n"BRK.B" = { sector = "finance" }\n')

    assert read_proxies(file) == {"ARM": "SPY", "BRK.B": {"sector": "finance"}}


@pytest.mark.parametrize("text", ["", "ARM = 1", 'ARM = ""', "[ARM]\nsector = 1"])
def test_a_file_without_valid_proxies_is_refused(tmp_path, text):
    file = tmp_path / "proxies.toml"
    file.write_text(text)

    with pytest.raises(InputFileError):
        read_proxies(file)


def test_options_have_the_same_proxies(tmp_path):
    file = tmp_path / "proxies.toml"
    file.write_text('"EURUSD=X" = "SPY"\n')

    assert read_proxy_options(["ARM=SPY", "NEW=sector:technology"], file) == {
        "ARM": "SPY",
        "NEW": {"sector": "technology"},
        "EURUSD=X": "SPY",
    }
    assert read_proxy_options(None, None) == {}


@pytest.mark.parametrize("texts", [["ARM"], ["=SPY"], ["ARM="], ["A=B=C"], ["A=B", "A=C"]])
def test_an_invalid_option_is_refused(texts):
    with pytest.raises(InvalidSettingsError) as refused:
        read_proxy_options(texts, None)

    assert refused.value.field == "--proxy"


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [({"ARM": "SPY"}, [0.1, 0.1]), ({"ARM": {"kind": "chip"}}, [0.1, 0.2]), ({}, [np.nan] * 2)],
)
def test_a_market_has_the_returns_of_the_proxy(tmp_path, proxies, expected):
    file = tmp_path / "prices.csv"
    file.write_text(PRICES)
    tags = {"NVDA": {"kind": "chip"}}

    market = read_market(file, proxies=proxies, tags=tags)

    assert market.returns[:, 1] == pytest.approx(expected, nan_ok=True)
    assert [str(one) for one in market.findings] == ["proxied:ARM"] * bool(proxies)
