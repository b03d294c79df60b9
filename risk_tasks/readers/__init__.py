"""Readers of files and Arrow frames: prices, portfolios, limits, scenarios, tags and proxies.

An invalid file raises `InputFileError`, whose `field` is the place:
"prices.csv, line 14, column AAPL", or "books.toml, portfolio 2 (hedge), key cash". For a frame,
`field` is the row, counted from 0, and the column. Unknown keys, duplicate rows and invalid numbers
are errors.
"""

from risk_tasks.readers.market import read_market
from risk_tasks.readers.portfolios import read_portfolios
from risk_tasks.readers.toml_files import (
    read_limits,
    read_proxies,
    read_scenarios,
    read_tags,
)

__all__ = [
    "read_limits",
    "read_market",
    "read_portfolios",
    "read_proxies",
    "read_scenarios",
    "read_tags",
]
