"""The pipeline on one page: from the bytes of a block of checks to the bytes of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from risk_tasks.decisions import Evaluation, evaluate
from risk_tasks.engine import (
    MarketArrays,
    PortfolioBlock,
    compute,
    dropped_rows,
    scaled_instruments,
    short_windows,
)
from risk_tasks.errors import (
    NoMarketError,
    NotInTimeError,
    RiskTasksError,
    TransportError,
    UnknownInstrumentError,
    UnknownScenarioError,
)
from risk_tasks.kernels.jit import KernelNotReadyError, kernels_until
from risk_tasks.model.column import NO_PAST, MeasureColumn
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.registry import Qualifier
from risk_tasks.model.report import GRAVITY, Decision, ReportError, Stamp
from risk_tasks.service.data_quality import data_quality
from risk_tasks.service.explanation import explain_breaches, explain_gaps
from risk_tasks.service.fingerprint import input_hashes
from risk_tasks.service.headroom import EvaluatedBlock, explain_limits
from risk_tasks.service.limit_matches import LimitMatches
from risk_tasks.service.live import LiveRecorder
from risk_tasks.service.market_cache import MarketCache
from risk_tasks.service.result_cache import ResultCache
from risk_tasks.service.validation import describe, validate
from risk_tasks.wire.answer import AnswerBlock, AnswerHead, encode_answer
from risk_tasks.wire.request import Detail, RequestBlock, decode_request

#: seconds that a check without a deadline waits for results that other workers are computing
TIMEOUT_S = 30.0
#: the share of the time left that a wait for a kernel leaves for the answer
_TO_ANSWER = 0.1

_REJECT = np.int8(GRAVITY.index(Decision.REJECT))


class Service:
    """Checks blocks on the markets and against the limit sets that it loads.

    Costly measures come from `results`, or are computed without it. `live` records the reports of
    live portfolios. `matches` counts to how many checks each limit of a published set applies.
    """

    def __init__(
        self,
        markets: MarketCache,
        load_limits: Callable[[str], LimitSet],
        results: ResultCache | None = None,
        live: LiveRecorder | None = None,
        matches: LimitMatches | None = None,
    ) -> None:
        self._markets = markets
        self._load_limits = load_limits
        self._results = results
        self._live = live
        self._matches = matches

    def run(self, payload: bytes, stamp: Stamp, waited: Mapping[str, float] | None = None) -> bytes:
        """Return the bytes of `answer`."""
        return encode_answer(self.answer(payload, stamp, waited))

    def answer(
        self,
        payload: bytes,
        stamp: Stamp,
        waited: Mapping[str, float] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> AnswerBlock:
        """Answer the block in `payload`, which was stamped when it was accepted.

        Raises `WireError` for an invalid `payload`, and `TransportError` where a market or a limit
        set cannot be loaded; other errors are in the answer, by row. `waited` has the times before
        this call in ms, which are added to those of the answer. `timeout_s` bounds the wait for
        results that other workers are computing.
        """
        started = time.perf_counter()
        request = decode_request(payload)
        live = self._live if request.attempts else None
        if live:
            live.start(request)
        answer = self.check(request, stamp, timeout_s=timeout_s)
        compute_ms = (time.perf_counter() - started) * 1e3
        answer.head.timings.update(waited or {}, compute_ms=compute_ms)
        if live:
            live.record(request, answer)
        return answer

    def check(
        self, request: RequestBlock, stamp: Stamp, *, timeout_s: float = TIMEOUT_S
    ) -> AnswerBlock:
        """Answer `request`; an error of the whole block is the error of each of its rows."""
        until_s = time.monotonic() + timeout_s
        try:
            with kernels_until(until_s - _TO_ANSWER * timeout_s):
                return self._check(request, stamp, until_s)
        except KernelNotReadyError:
            # Of a breach or of headroom: measures that are late have an outcome of their own.
            head = AnswerHead(stamp.market_id or None, None, stamp.limits_version or None)
            return _refuse(head, request, describe(NotInTimeError()))

    def _check(self, request: RequestBlock, stamp: Stamp, until_s: float) -> AnswerBlock:
        try:
            limits = request.terms.limits
            if limits is None and stamp.limits_version:
                limits = self._load_limits(stamp.limits_version)
            market = self._market(stamp.market_id)
            _require_items(request.terms.measures, market)
            market.in_rows(request.terms.settings)
        except TransportError:
            # The error of the server, not of the block: after a retry the block may have an answer.
            raise
        except RiskTasksError as error:
            head = AnswerHead(stamp.market_id or None, None, stamp.limits_version or None)
            return _refuse(head, request, describe(error))
        head = AnswerHead(market.id, market.as_of, limits.version if limits else None)

        block, errors = validate(request, market)
        names, settings = _with_limits(request.terms.measures, limits), request.terms.settings
        columns = self._compute(block, market, names, settings, until_s)
        valid = np.ones(len(block), dtype=bool)
        if errors:
            valid[list(errors)] = False
        detail = request.terms.detail
        ids = request.portfolio_ids.to_pylist() if limits or detail.has_reports else ()
        n_observations = _count_observations(columns.values(), valid)
        too_few = short_windows(block, market, settings, n_observations)
        has_past = n_observations.max(initial=NO_PAST) > NO_PAST
        scaled = scaled_instruments(block, market, settings) if has_past else {}
        short = np.zeros(len(block), dtype=bool)
        short[list(too_few)] = True
        evaluation = evaluate(limits, columns, valid, ids, request.tags, short if too_few else None)
        if self._matches and limits and not request.terms.limits:
            self._matches.count(limits, len(block) - len(errors), evaluation.matched)

        answer = AnswerBlock(
            head=head,
            decisions=np.where(valid, evaluation.gravity, _REJECT),
            breach_counts=_count_by_row(evaluation, len(block)),
            columns={
                str(name): columns[name].where(valid) if errors else columns[name] for name in names
            },
            errors=errors,
            limits_applied=evaluation.limits_applied,
            n_observations=n_observations,
            short=short,
            data_quality=data_quality(
                block, market, detail, too_few, scaled, dropped_rows(block, market)
            ),
        )
        if detail is not Detail.SUMMARY:
            answer.breaches = explain_breaches(evaluation, block, market, settings)
        if detail.has_reports:
            answer.portfolio_ids = ids
            answer.gaps = explain_gaps(evaluation)
            answer.input_hashes = input_hashes(block, ids, market.id, names, settings)
        if detail is Detail.EXPLAINED:
            checked = EvaluatedBlock(block, market, settings, columns, evaluation)
            tags = request.tags or [{}] * len(block)
            answer.explanations = {
                row: explain_limits(
                    checked, row, limits.applying(ids[row], tags[row]) if limits else []
                )
                for row in np.flatnonzero(valid).tolist()
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
    """Raise for a requested item that the market lacks; for a limit, it is only not evaluated."""
    for name in names:
        kind = name.definition.qualifier
        if kind is Qualifier.SCENARIO and name.item not in market.scenarios:
            message = f"The market has no scenario {name.item!r}."
            raise UnknownScenarioError(message, field="measures")
        if kind is Qualifier.INSTRUMENT and name.item not in market.index:
            message = f"{name.item} has no price in this market."
            raise UnknownInstrumentError(message, field="measures")


def _with_limits(names: Iterable[MeasureName], limits: LimitSet | None) -> tuple[MeasureName, ...]:
    """Return the requested measures, followed by those of limits."""
    named = [limit.measure_name for limit in limits.limits] if limits else []
    return tuple(dict.fromkeys([*names, *named]))


def _count_by_row(evaluation: Evaluation, n: int) -> npt.NDArray[np.int32]:
    rows = np.array([found.row for found in evaluation.breaches], dtype=np.int64)
    return np.bincount(rows, minlength=n).astype(np.int32)


def _count_observations(
    columns: Iterable[MeasureColumn], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the number of past outcomes (P,); the measures of the past share it."""
    counted = [column.n_observations for column in columns if column.n_observations is not None]
    # Costly measures have arrays of their own, and no number where they came too late.
    distinct = list({id(one): one for one in counted}.values())
    if not distinct:
        return np.full(len(valid), NO_PAST)
    return np.where(valid, np.maximum.reduce(distinct), NO_PAST)


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
