"""The page of `status` and `top` for any numbers."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from risk_tasks.monitoring.status import KernelCount, LaneStatus, LimitSetStatus, Status, Times
from risk_tasks.queues import LANE_CAPACITY, Lane
from risk_tasks.render.monitoring import status_page
from risk_tasks.store.recompute import LiveCounts
from risk_tasks.store.roles import AutoscalerReport
from workers.autoscaler.policy import Direction

ms = st.none() | st.floats(0.001, 3_600_000)
ratios = st.none() | st.floats(0, 1)
counts = st.integers(0, 10**9)
times = st.builds(Times, avg_ms=ms, p50_ms=ms, p95_ms=ms, p99_ms=ms)


def lane_of(lane: Lane) -> st.SearchStrategy[LaneStatus]:
    capacity = LANE_CAPACITY[lane]
    return st.builds(
        LaneStatus,
        depth=st.integers(0, 10 * capacity.checks),
        depth_bytes=st.integers(0, 10 * capacity.size_bytes),
        messages=counts,
        oldest_age_s=st.none() | st.floats(0, 86_400),
        capacity=st.just(capacity.checks),
        capacity_bytes=st.just(capacity.size_bytes),
        workers=st.integers(0, 999),
        count=counts,
        errors=counts,
        unanswered=counts,
        queued=times,
        compute=times,
        total=times,
    )


fleets = st.integers(0, 999)
reports = st.builds(
    AutoscalerReport,
    name=st.just("autoscaler-1-abcdef@host"),
    driver=st.just("docker"),
    direction=st.sampled_from([one.value for one in Direction]),
    reason=st.sampled_from(["blind", "at_maximum", "oldest_age"]),
    workers=st.none() | fleets,
    wanted=st.none() | fleets,
    min_workers=fleets,
    max_workers=fleets,
    oldest_age_s=st.none(),
    work_s=st.none(),
    busy_share=ratios,
    last_change=st.none() | st.just("998 -> 999: oldest_age"),
    last_change_ago_s=st.none() | st.floats(0, 86_400),
)
statuses = st.builds(
    Status,
    window_s=st.floats(1, 300),
    count=counts,
    avg_response_time_ms=ms,
    p95_response_time_ms=ms,
    p99_response_time_ms=ms,
    cache_hit_ratio=ratios,
    calculations_per_second=st.none() | st.floats(0, 1e8),
    queue_processing_rate=st.none() | st.floats(0, 1e6),
    error_rate=ratios,
    worker_utilization=ratios,
    work_per_check_ms=ms,
    busy_by_worker=st.just({}),
    kernels_by_worker=st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.builds(KernelCount, ready=st.integers(0, 27), total=st.just(27)),
    ),
    workers=st.integers(0, 999),
    schedulers=st.integers(0, 99),
    dead_letters=st.integers(0, 1_000),
    markets=st.dictionaries(
        st.sampled_from(["default", "close", "intraday", "shadow"]), st.just("a1b2c3d4" * 8)
    ),
    limit_sets=st.dictionaries(
        st.sampled_from(["default", "close", "intraday", "shadow"]),
        st.builds(
            LimitSetStatus,
            version=st.just("a1b2c3d4" * 8),
            checks=counts,
            unmatched=st.lists(st.just("gross_exposure[desk=fx]"), max_size=3),
        ),
    ),
    lanes=st.fixed_dictionaries({lane.value: lane_of(lane) for lane in Lane}),
    live=st.builds(
        LiveCounts,
        portfolios=counts,
        dirty=counts,
        outdated=counts,
        in_progress=counts,
        oldest_dirty_s=st.floats(0, 86_400),
        recorded=counts,
        late=counts,
        changes=counts,
    ),
    autoscaler=st.none() | reports,
)


def page(status: Status, width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(status_page(status))
    return captured.get().splitlines()


@given(statuses)
def test_the_page_fits_a_terminal_for_any_numbers(status):
    """80 columns and, with the headline of `top`, 24 lines; equal on a wide terminal."""
    narrow, wide = page(status), page(status, width=200)

    assert [line.rstrip() for line in narrow] == [line.rstrip() for line in wide]
    assert max(len(line.rstrip()) for line in wide) <= 80
    assert len(narrow) <= 23
    assert re.search(r"\b(nan|inf|None)\b", "\n".join(narrow)) is None


@given(statuses)
def test_a_missing_number_is_a_dash(status):
    (line,) = [line for line in page(status) if "cache hits" in line]

    assert line.rstrip().endswith("-") == (status.cache_hit_ratio is None)


def test_numbers_are_short_and_keep_their_unit():
    """At most six characters."""
    nothing = Times(avg_ms=None, p50_ms=None, p95_ms=None, p99_ms=None)
    lane = LaneStatus(
        depth=1_250_000,
        depth_bytes=67_108_864,
        messages=3,
        oldest_age_s=1.26,
        capacity=1_000_000,
        capacity_bytes=536_870_912,
        workers=2,
        count=0,
        errors=0,
        unanswered=0,
        queued=nothing,
        compute=nothing,
        total=nothing,
    )
    status = Status(
        window_s=59.6,
        count=1_234_567,
        avg_response_time_ms=1.5,
        p95_response_time_ms=25.04,
        p99_response_time_ms=1_234.5,
        cache_hit_ratio=None,
        kernels_by_worker={
            "w": KernelCount(ready=27, total=27),
        },
        calculations_per_second=312_345.6,
        queue_processing_rate=12.34,
        error_rate=0.0123,
        worker_utilization=1.0,
        work_per_check_ms=0.4,
        busy_by_worker={},
        workers=1,
        schedulers=2,
        dead_letters=1,
        markets={"default": "620bce79232e957a"},
        limit_sets={
            "default": LimitSetStatus(version="5d", checks=9, unmatched=["var", "gross"]),
            "close": LimitSetStatus(version="6d", checks=9, unmatched=[]),
        },
        lanes={"batch": lane},
        live=LiveCounts(
            portfolios=5_000,
            dirty=12,
            outdated=0,
            in_progress=50,
            oldest_dirty_s=0.26,
            recorded=70_000,
            late=3,
            changes=1_250,
        ),
    )
    text = "\n".join(page(status))
    assert "autoscaler" not in text

    for shown in (
        "1,234,567 checks in 60 s, 1 worker, 2 schedulers, 1 dead letter",
        "markets: default 620bce79232e",
        "limits that applied to no check: default 2",
        "live: 5,000, 12 dirty (0.3 s), 50 running, 1,250 sent",
        *("1.50 ms", "25.0 ms", "1,234 ms", "312K", "12.3", "1.2 %", "100.0 %"),
        *("1.2M", "1.0M", "67.1M", "537M", "1.3 s"),
    ):
        assert shown in text, shown

    kernels = {**status.kernels_by_worker, "v": KernelCount(ready=12, total=27)}
    text = page(replace(status, kernels_by_worker=kernels))[0]
    assert text == "1,234,567 checks in 60 s, 1 worker, 12/27 kernels, 1 dead letter"


@given(statuses.filter(lambda status: status.autoscaler is not None))
def test_the_autoscaler_is_one_line(status):
    (line,) = [line for line in page(status) if line.startswith("autoscaler:")]
    report = status.autoscaler

    assert f"{report.direction}: {report.reason}" in line
    assert f"({report.min_workers}-{report.max_workers})" in line
