"""Cutting the parts of a call into blocks, and saying where each goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from risk_tasks.broker.blocks import StampRequest
from risk_tasks.client.cutting import LARGEST, Part, cut, select
from risk_tasks.client.pace import Pace
from risk_tasks.client.rearranging import rearranged
from risk_tasks.client.routing import Owners, is_remembered
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.request import RequestBlock


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPart:
    """The blocks of one part, and the shard of each; None: any worker of the lane.

    `order` (P,): where each row of the part stands among the blocks; None where in its own order.
    """

    stamp: StampRequest
    blocks: Sequence[RequestBlock]
    shards: Sequence[int | None]
    order: npt.NDArray[np.int64] | None = None

    def restore(self, answers: Sequence[AnswerBlock]) -> Sequence[AnswerBlock]:
        """Return the answers of the blocks in the order of the part."""
        return answers if self.order is None else [rearranged(answers, self.order)]


def place(part: Part, pace: Pace, owners: Owners | None, *, in_order: bool) -> PlacedPart:
    """Cut a part by cost; where workers remember what is asked, also by who owns the portfolios.

    One that is to stay `in_order` is not cut by owner.
    """
    request, stamp = part
    bounds = pace.bounds(request)
    if owners is None:
        blocks = list(cut(request, bounds))
        return PlacedPart(stamp, blocks, [None] * len(blocks))
    alone = in_order or bounds is LARGEST or owners.n_owners == 1
    if alone or not is_remembered(request.terms):
        blocks = list(cut(request, bounds))
        return PlacedPart(stamp, blocks, owners.shards_for(blocks))
    rows = owners.rows_by_owner(request)
    pieces = [select(request, one) for one in rows]
    blocks = [block for piece in pieces for block in cut(piece, pace.bounds(piece))]
    shards = [owners.shard_of_first(block) for block in blocks]
    return PlacedPart(stamp, blocks, shards, np.argsort(np.concatenate(rows)))
