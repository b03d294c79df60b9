"""The id of a call: what its answers are read by, in any process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from risk_tasks.errors import UnknownCheckError

_TEXT = re.compile(r"(.+)\.([0-9]{1,6})(?::([0-9]{1,9})-([0-9]{1,9}))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CheckId:
    """`base` names the call; it has `n_blocks`, whose ids follow from it.

    `rows` are those of the caller where others share its blocks, from one place to before another.
    """

    base: str
    n_blocks: int
    rows: tuple[int, int] | None = None

    def __str__(self) -> str:
        own = "" if self.rows is None else f":{self.rows[0]}-{self.rows[1]}"
        return f"{self.base}.{self.n_blocks}{own}"

    def block_ids(self) -> Iterator[str]:
        return (f"{self.base}.{place}of{self.n_blocks}" for place in range(self.n_blocks))

    @property
    def own(self) -> slice:
        """Which of the rows of all blocks are the caller's."""
        return slice(*self.rows) if self.rows else slice(None)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises `UnknownCheckError` for anything else."""
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise UnknownCheckError(f"{text!r} is not the id of a check.", field="check_id")
        base, n_blocks, start, stop = found.groups()
        return cls(base, int(n_blocks), None if start is None else (int(start), int(stop)))
