"""Answers in another order: every part of every row moves with it."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client.partitioning import rearranged
from risk_tasks.wire.answer import AnswerBlock, AnswerHead, decode_answer, encode_answer
from risk_tasks.wire.reports import reports
from tests.unit.wire import messages


def rows(answers: list[AnswerBlock]) -> list[str]:
    """Each row as a text of all that is told of it, but for the times of its block."""
    names = [f"p{place}" for place in range(sum(map(len, answers)))]
    told = []
    for answer in answers:
        for report, n in zip(reports(names[: len(answer)], [answer]), answer.breach_counts):
            fields = (report.decision, report.status, dict(report.measures), report.breaches)
            fields += (report.not_evaluated, report.error, report.explanation, report.input_hash)
            told.append(repr((fields, int(n))))
    return told


@given(st.lists(messages.answers(), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_each_row_is_told_as_before_in_its_new_place(made: list[AnswerBlock], dice: Random) -> None:
    made = [one for one in made if [*one.columns] == [*made[0].columns]]
    alike = [decode_answer(encode_answer(one)) for one in made]
    before = rows(alike)
    order = list(range(len(before)))
    dice.shuffle(order)

    back = rearranged(alike, np.array(order, dtype=np.int64))

    assert rows([back]) == [before[place] for place in order]


def test_the_times_are_the_longest_of_each_kind():
    def block(**timings: float) -> AnswerBlock:
        head = AnswerHead(market_id="m", timings=timings)
        return AnswerBlock(head, np.zeros(1, np.int8), np.zeros(1, np.int32), {})

    back = rearranged([block(a=1.0, b=5.0), block(a=2.0, c=3.0)], np.array([1, 0]))

    assert back.head == AnswerHead(market_id="m", timings={"a": 2.0, "b": 5.0, "c": 3.0})
