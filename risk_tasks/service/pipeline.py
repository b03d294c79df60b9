"""One page: what happens to a block of checks between its bytes and the bytes of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from risk_tasks.decisions import Evaluation, evaluate
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.errors import (
    NoMarketError,
    RiskTasksError,
    TransportError,
    UnknownInstrumentError,
    UnknownScenarioError,
)
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.registry import Qualifier
from risk_tasks.model.report import GRAVITY, Decision, ReportError
from risk_tasks.model.stamp import Stamp
from risk_tasks.service.explanation import explain_breaches, explain_gaps
from risk_tasks.service.fingerprint import input_hashes
from risk_tasks.service.headroom import Told, explain_limits
from risk_tasks.service.live import LiveRecorder
from risk_tasks.service.market_cache import MarketCache
from risk_tasks.service.result_cache import ResultCache
from risk_tasks.service.validation import describe, validate
from risk_tasks.wire.answer import AnswerBlock, AnswerHead, encode_answer
from risk_tasks.wire.request import Detail, RequestBlock, decode_request

#: seconds that a check without a deadline waits for what other workers are computing
WITHIN_S = 30.0

_REJECT = np.int8(GRAVITY.index(Decision.REJECT))


class Service:
    """Checks blocks against the markets and the limit sets that it can load.

    Costly results are looked up in `results`; without one, all is computed. What is found of live
    portfolios goes to `live`.
    """

    def __init__(
        self,
        markets: MarketCache,
        load_limits: Callable[[str], LimitSet],
        results: ResultCache | None = None,
        live: LiveRecorder | None = None,
    ) -> None:
        self._markets = markets
        self._load_limits = load_limits
        self._results = results
        self._live = live

    def run(self, payload: bytes, stamp: Stamp, waited: Mapping[str, float] | None = None) -> bytes:
        """Return what `answer` answers, as bytes."""
        return encode_answer(self.answer(payload, stamp, waited))

    def answer(
        self,
        payload: bytes,
        stamp: Stamp,
        waited: Mapping[str, float] | None = None,
        *,
        within_s: float = WITHIN_S,
    ) -> AnswerBlock:
        """Answer the block in `payload` under the stamp that it was given when it was accepted.

        Raises `WireError` where `payload` is no block, and `TransportError` where what it needs
        cannot be loaded; everything else is answered by row. The times that it `waited`, in ms by
        what for, join those in the answer. Results that other workers are computing are waited for
        `within_s`.
        """
        started = time.perf_counter()
        request = decode_request(payload)
        live = self._live if request.attempts else None
        if live:
            live.start(request)
        answer = self.check(request, stamp, within_s=within_s)
        compute_ms = (time.perf_counter() - started) * 1e3
        answer.head.timings.update(waited or {}, compute_ms=compute_ms)
        if live:
            live.record(request, answer)
        return answer

    def check(
        self, request: RequestBlock, stamp: Stamp, *, within_s: float = WITHIN_S
    ) -> AnswerBlock:
        """Answer `request`; a fault of the whole block is the error of each of its rows."""
        until_s = time.monotonic() + within_s
        try:
            limits = request.terms.limits
            if limits is None and stamp.limits_version:
                limits = self._load_limits(stamp.limits_version)
            market = self._market(stamp.market_id)
            _require_items(request.terms.measures, market)
        except TransportError:
            # Of the server and not of the block, which has another answer when the server is back.
            raise
        except RiskTasksError as error:
            head = AnswerHead(stamp.market_id or None, None, stamp.limits_version or None)
            return _refuse(head, request, describe(error))
        head = AnswerHead(market.id, market.as_of, limits.version if limits else None)

        block, errors = validate(request, market)
        names = _with_limits(request.terms.measures, limits)
        columns = self._compute(block, market, names, request.terms.settings, until_s)
        fit = np.ones(len(block), dtype=bool)
        if errors:
            fit[list(errors)] = False
        detail = request.terms.detail
        ids = request.portfolio_ids.to_pylist() if limits or detail.is_whole else ()
        evaluation = evaluate(limits, columns, fit, ids, request.tags)

        answer = AnswerBlock(
            head=head,
            decisions=np.where(fit, evaluation.gravity, _REJECT),
            breach_counts=_count_by_row(evaluation, len(block)),
            columns={
                str(name): columns[name].where(fit) if errors else columns[name] for name in names
            },
            errors=errors,
        )
        if detail is not Detail.SUMMARY:
            answer.breaches = explain_breaches(evaluation, block, market, request.terms.settings)
        if detail.is_whole:
            answer.portfolio_ids = ids
            answer.gaps = explain_gaps(evaluation)
            answer.input_hashes = input_hashes(block, ids, market.id, names, request.terms.settings)
        if detail is Detail.EXPLAINED:
            told = Told(block, market, request.terms.settings, columns, evaluation)
            tags = request.tags or [{}] * len(block)
            answer.explanations = {
                row: explain_limits(
                    told, row, limits.applying(ids[row], tags[row]) if limits else []
                )
                for row in np.flatnonzero(fit).tolist()
            }
        return answer

    def _compute(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        names: Sequence[MeasureName],
        settings: MeasureSettings,
        until_s: float,
    ) -> dict[MeasureName, MeasureColumn]:
        if self._results is None:
            return compute(block, market, names, settings)
        return self._results.compute(block, market, names, settings, until_s=until_s)

    def _market(self, market_id: str) -> MarketArrays:
        market = self._markets.get(market_id) if market_id else None
        if market is None:
            raise NoMarketError(field="market")
        return market


def _require_items(names: Iterable[MeasureName], market: MarketArrays) -> None:
    """Refuse what was asked for by name and is not there; what a limit names is left untold."""
    for name in names:
        kind = name.definition.qualifier
        if kind is Qualifier.SCENARIO and name.item not in market.scenarios:
            message = f"The market has no scenario {name.item!r}."
            raise UnknownScenarioError(message, field="measures")
        if kind is Qualifier.INSTRUMENT and name.item not in market.index:
            message = f"{name.item} has no price in this market."
            raise UnknownInstrumentError(message, field="measures")


def _with_limits(names: Iterable[MeasureName], limits: LimitSet | None) -> tuple[MeasureName, ...]:
    """Return what was asked for, and after it what only a limit names."""
    named = [limit.measure_name for limit in limits.limits] if limits else []
    return tuple(dict.fromkeys([*names, *named]))


def _count_by_row(evaluation: Evaluation, n: int) -> npt.NDArray[np.int32]:
    rows = np.array([found.row for found in evaluation.breaches], dtype=np.int64)
    return np.bincount(rows, minlength=n).astype(np.int32)


def _refuse(head: AnswerHead, request: RequestBlock, error: ReportError) -> AnswerBlock:
    n = len(request)
    return AnswerBlock(
        head=head,
        decisions=np.full(n, _REJECT),
        breach_counts=np.zeros(n, dtype=np.int32),
        columns={},
        errors=dict.fromkeys(range(n), error),
        portfolio_ids=request.portfolio_ids.to_pylist(),
    )
