"""The id of a call: what its answers are read by, in any process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from risk_tasks.errors import UnknownCheckError


@dataclass(frozen=True, slots=True)
class CheckId:
    """`base` names the call; it has `n_blocks`, whose ids follow from it."""

    base: str
    n_blocks: int

    def __str__(self) -> str:
        return f"{self.base}.{self.n_blocks}"

    def block_ids(self) -> Iterator[str]:
        return (f"{self.base}.{place}of{self.n_blocks}" for place in range(self.n_blocks))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises `UnknownCheckError` for anything else."""
        if not isinstance(text, str):
            raise UnknownCheckError(f"{text!r} is not the id of a check.", field="check_id")
        base, _, count = text.rpartition(".")
        if not base or not count.isascii() or not count.isdigit() or len(count) > 6:
            raise UnknownCheckError(f"{text!r} is not the id of a check.", field="check_id")
        return cls(base, int(count))
