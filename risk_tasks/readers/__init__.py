"""Outside data into the model: prices, books, limits, scenarios, tags from files and Arrow frames.

An invalid file raises `InputFileError`, whose `field` names the place:
"prices.csv, line 14, column AAPL", or "books.toml, portfolio 2 (hedge), key cash". In a frame,
which has no file and no lines, `field` names row (counted from 0, as frames count) and column.
Nothing is guessed: unknown keys, repeated rows and invalid numbers are refused.
"""

from risk_tasks.readers.market import read_market
from risk_tasks.readers.portfolios import read_portfolios
from risk_tasks.readers.toml_files import read_limits, read_scenarios, read_tags

__all__ = ["read_limits", "read_market", "read_portfolios", "read_scenarios", "read_tags"]
