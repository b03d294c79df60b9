"""TOML files of books become portfolios, or an error that names the place."""

from __future__ import annotations

import pytest

from risk_tasks.errors import InputFileError, InvalidPortfolioError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers import read_portfolios

BOOKS = """
[[portfolio]]
id = "core"
cash = 1_000
nav = 2500.5
tags = { desk = "equities", strategy = "long-only" }
positions = { AAPL = 100, XOM = -2.5 }

[[portfolio]]
id = "bare"
[portfolio.positions]
"BRK.B" = 1
"""


def test_toml_books_are_portfolios_in_their_order(write):
    """Every key reaches the portfolio; a missing amount is unknown."""
    core, bare = read_portfolios(write("books.toml", BOOKS))

    assert core == Portfolio(
        "core",
        {"AAPL": 100.0, "XOM": -2.5},
        cash=1000.0,
        nav=2500.5,
        tags={"desk": "equities", "strategy": "long-only"},
    )
    assert bare == Portfolio("bare", {"BRK.B": 1.0})
    assert bare.cash is None
    assert bare.nav is None


def test_a_book_may_be_empty(write):
    """With `positions = {}`."""
    (empty,) = read_portfolios(write("books.toml", '[[portfolio]]\nid = "e"\npositions = {}\n'))

    assert dict(empty.positions) == {}


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + BOOKS.encode(), BOOKS.replace("\n", "\r\n").encode()],
    ids=["bom", "crlf"],
)
def test_windows_toml_is_read_the_same(write, content):
    """With a byte order mark and Windows line ends."""
    assert read_portfolios(write("books.toml", content)) == read_portfolios(
        write("plain.toml", BOOKS)
    )


def book(text: str) -> str:
    """Return a file with one portfolio of this text."""
    return f'[[portfolio]]\nid = "core"\n{text}\n'


PLACE = "books.toml, portfolio 1 (core), key "

BAD_TOML = {
    "unknown key": (book("positons = {}"), PLACE + "positons", "Nearest: positions"),
    "key like no other": (book("xyz = 1"), PLACE + "xyz", "The keys are id, cash, nav"),
    "unknown key of the file": ("[[portfolios]]\n", "books.toml, key portfolios", "portfolio"),
    "positions missing": (book("cash = 1"), PLACE + "positions", "missing"),
    "id missing": ("[[portfolio]]\npositions = {}\n", "books.toml, portfolio 1, key id", "missing"),
    "id empty": ('[[portfolio]]\nid = ""\npositions = {}\n', "portfolio 1 (), key id", "empty"),
    "id a number": ("[[portfolio]]\nid = 7\npositions = {}\n", "portfolio 1, key id", "a text"),
    "quantity a text": (book('positions = {A = "1"}'), PLACE + "positions.A", "finite number"),
    "quantity nan": (book("positions = {A = nan}"), PLACE + "positions.A", "finite number"),
    "quantity infinite": (book("positions = {A = -inf}"), PLACE + "positions.A", "finite number"),
    "quantity true": (book("positions = {A = true}"), PLACE + "positions.A", "True is not"),
    "quantity too long": (
        book("positions = {A = 1" + "0" * 400 + "}"),
        PLACE + "positions.A",
        "0... is not a finite number",
    ),
    "name with a dot": (book("positions = {BRK.B = 1}"), PLACE + "positions.BRK", '"BRK.B"'),
    "instrument without name": (book('positions = {"" = 1}'), PLACE + "positions['']", "empty"),
    "positions a list": (book("positions = [1]"), PLACE + "positions", "not a table"),
    "cash a text": (book('cash = "much"\npositions = {}'), PLACE + "cash", "finite number"),
    "nav infinite": (book("nav = inf\npositions = {}"), PLACE + "nav", "finite number"),
    "tag a number": (book("tags = {desk = 1}\npositions = {}"), PLACE + "tags['desk']", "text"),
    "same id": (book("positions = {}") * 2, "books.toml, portfolio 2, key id", "'core'"),
    "one table for many": (
        '[portfolio]\nid = "a"\n',
        "books.toml, key portfolio",
        "Begin each with [[portfolio]]",
    ),
    "a number for a portfolio": ("portfolio = [1]\n", "books.toml, portfolio 1", "not a table"),
    "no portfolio": ("portfolio = []\n", "books.toml, key portfolio", "no portfolio"),
    "only a comment": ("# nothing\n", "books.toml, key portfolio", "missing"),
    "not toml": ('[[portfolio]]\nid "core"\n', "books.toml, line 2, column 4", "not TOML"),
    "not ended": (book('positions = {A = "'), "books.toml, line", "not TOML"),
    "key twice": (book("cash = 1\ncash = 2"), "books.toml", "not TOML"),
    "instrument twice": (book("positions = {A = 1, A = 2}"), "books.toml", "not TOML"),
    "number without end": (book("cash = " + "1" * 5000), "books.toml", "not TOML"),
    "nested without end": (book("cash = " + "[" * 5000), "books.toml", "not TOML"),
    "empty": ("", "books.toml", "empty"),
    "latin-1": (b'[[portfolio]]\nid = "K\xf6ln"\n', "books.toml, line 2", "0xf6 is not UTF-8"),
    "utf-16": (BOOKS.encode("utf-16"), "books.toml, line 1", "not UTF-8"),
}


@pytest.mark.parametrize(("content", "field", "message"), BAD_TOML.values(), ids=BAD_TOML.keys())
def test_an_invalid_book_is_refused_at_its_place(write, content, field, message):
    """The error names file, portfolio and key, or the line of a TOML error."""
    with pytest.raises(InputFileError) as caught:
        read_portfolios(write("books.toml", content))

    assert field in caught.value.field
    assert message in str(caught.value)


def test_the_error_of_the_model_is_the_cause(write):
    """With its remedy."""
    with pytest.raises(InputFileError) as caught:
        read_portfolios(write("books.toml", book('positions = {"" = 1}')))

    assert isinstance(caught.value.__cause__, InvalidPortfolioError)
    assert caught.value.remedy == caught.value.__cause__.remedy


def test_a_directory_instead_of_a_book_is_refused(tmp_path):
    """The error states that it is a directory, and its path."""
    with pytest.raises(InputFileError, match="directory") as caught:
        read_portfolios((tmp_path / "books.toml").mkdir() or tmp_path / "books.toml")

    assert str(tmp_path) in caught.value.field


def test_a_missing_book_is_refused_with_its_path(tmp_path):
    """The error has the whole path."""
    with pytest.raises(InputFileError) as caught:
        read_portfolios(str(tmp_path / "books.toml"))

    assert caught.value.field == str(tmp_path / "books.toml")
