"""The grammar of check ids, which name the answers of a call in every process.

::

    CLIENT.NUMBER.BLOCKS              the call NUMBER of a client, sent as BLOCKS blocks
    CLIENT.NUMBER.BLOCKS:START-STOP   its rows START to before STOP, where callers share the blocks

CLIENT is 32 hexadecimal digits; the other parts are decimal numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from risk_tasks.errors import UnknownCheckError

_PATTERN = re.compile(r"([0-9a-f]{32}\.[0-9]{1,12})\.([0-9]{1,6})(?::([0-9]{1,9})-([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class CheckId:
    """The id of a call; `rows` are the caller's own among all rows of its blocks, None for all."""

    base: str
    n_blocks: int
    rows: tuple[int, int] | None = None

    def __str__(self) -> str:
        rows = "" if self.rows is None else f":{self.rows[0]}-{self.rows[1]}"
        return f"{self.base}.{self.n_blocks}{rows}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises `UnknownCheckError` for any other text."""
        found = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise UnknownCheckError(
                f"{str(text)[:80]!r} is not a check id.",
                field="check_id",
                remedy="Give the check_id of a handle, of an error or of an HTTP answer.",
            )
        base, n_blocks, start, stop = found.groups()
        return cls(base, int(n_blocks), None if start is None else (int(start), int(stop)))

    def of_rows(self, start: int, stop: int) -> Self:
        """Return the id of the rows from `start` to before `stop`."""
        return replace(self, rows=(start, stop))

    def block_ids(self) -> Iterator[str]:
        return (f"{self.base}.{number}of{self.n_blocks}" for number in range(self.n_blocks))
