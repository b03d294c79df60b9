"""Sample data for demos and tests: real prices of 20 US shares, with books, limits and scenarios.

Each constant is the path of one file. README.md in this folder names their sources. ::

    market = read_market(sample.PRICES, scenarios=read_scenarios(sample.SCENARIOS))
"""

from importlib.resources import files
from pathlib import Path

_HERE = Path(str(files(__name__)))

#: seven portfolios of about ten million dollars, from empty to one that breaks most limits
BOOKS = _HERE / "books.toml"
#: the limit set "standard"
LIMITS = _HERE / "limits.toml"
#: 1,001 days of closing prices in US dollars, so 1,000 returns
PRICES = _HERE / "prices.csv"
#: `crash-2020`, `broad-fall` and `tech-sell-off`; the replays `covid-crash` and `bear-2022`
SCENARIOS = _HERE / "scenarios.toml"

__all__ = ["BOOKS", "LIMITS", "PRICES", "SCENARIOS"]
