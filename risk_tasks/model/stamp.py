"""Which versions a block of checks is answered with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """What was current when the block was accepted; an empty text is none."""

    market_id: str = ""
    limits_version: str = ""
