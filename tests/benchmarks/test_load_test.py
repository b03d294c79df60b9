"""The load test at a small size: its verdict and its page follow from its figures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.integration.support import REPOSITORY, environment

pytestmark = pytest.mark.timeout(600)


def load_test(*options: object, cwd, timeout_s: float = 500) -> subprocess.CompletedProcess[str]:
    """Run the script in `cwd`, as a user does."""
    return subprocess.run(
        [sys.executable, REPOSITORY / "tests/risk_engine_load_test.py", *map(str, options)],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """One complete run, its page and its document."""
    folder = tmp_path_factory.mktemp("load")
    options = ("--quick", "--validate-optimizations", "--report", "load.html", "--json")
    done = load_test(*options, cwd=folder)
    assert done.returncode in {0, 1}, done.stderr
    return done, json.loads(done.stdout), (folder / "load.html").read_text()


def test_every_stage_runs_and_every_check_is_answered(validated):
    """Also the checks of a worker that was killed."""
    _, document, _ = validated
    figures = document["figures"]

    assert [level["outstanding"] for level in figures["levels"]] == [50, 200]
    assert all(
        level[way]["n_failed"] == 0 and level[way]["times"]["p95_ms"] > 0
        for level in figures["levels"]
        for way in ("blocks", "singles", "sequential")
    )
    assert len(figures["normal"]["samples"]) > 3
    assert figures["normal"]["depth_after"] == 0
    assert len(figures["kills"]["killed_s"]) == 1
    assert figures["kills"]["n_failed"] == 0 < figures["kills"]["n_checks"]
    assert figures["repeats"]["n_repeats"] == 4
    assert all(per_s > 0 for per_s in figures["scaling"]["costly_per_s"])


def test_verdict_and_exit_code_follow_from_the_criteria(validated):
    done, document, page = validated
    passed = [one["passed"] for one in document["criteria"]]
    kept = passed.count(True) > 0 == passed.count(False)

    assert document["verdict"].startswith("PASS" if kept else "FAIL")
    assert done.returncode == (0 if kept else 1)
    assert document["verdict"] in page
    assert all(one["found"] in page for one in document["criteria"] if "<" not in one["found"])
    assert done.stderr == ""


def test_a_quick_run_does_not_judge_times(validated):
    _, document, _ = validated
    judged = [one["name"] for one in document["criteria"] if one["passed"] is not None]

    assert judged == [
        "checks of all levels without an answer",
        "hit ratio on repeats of a costly measure",
        "lane empty after normal load",
        "availability while workers are killed",
    ]


def test_a_running_system_is_measured_and_keeps_its_market_and_its_workers(fleet, risk, tmp_path):
    """The last line says that nothing was judged."""
    before, pids = risk.load_market().id, fleet.pids
    options = ("--quick", "--broker-url", fleet.url, "--concurrent-users", 2)
    done = load_test(*options, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("NOT JUDGED")
    assert "50" in done.stdout
    assert risk.load_market().id == before
    assert (fleet.pids, fleet.revive()) == (pids, [])


@pytest.mark.parametrize(
    "options",
    [
        ("--target-response-time", "100"),
        ("--concurrent-users", 0),
        ("--report", "/no/such/folder/load.html"),
    ],
)
def test_wrong_usage_is_reported_before_anything_starts(options, tmp_path):
    done = load_test("--quick", *options, cwd=tmp_path)

    assert done.returncode == 2
    assert str(options[0]) in done.stderr.replace("'", "")


def test_an_unreachable_system_is_one_line_and_exit_code_1(tmp_path):
    done = load_test("--quick", "--broker-url", "redis://127.0.0.1:1/0", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("load test: ")
    assert "Traceback" not in done.stderr
