"""The doors of a running system: each takes sheets and returns what a caller would read."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pyarrow as pa
from celery import Celery

from risk_tasks import AsyncRiskClient, Limit, LimitSet, MeasureSettings, RiskClient, cli
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.errors import RiskTasksError
from risk_tasks.readers import read_market, read_portfolios, read_scenarios
from risk_tasks.wire.documents import report_document
from tests.silent.frames import arrow, frame_of, portfolio_documents, stream, toml, write_csv
from tests.silent.outcomes import Answer, Outcome, Refusal
from tests.silent.spoils import iso, second_table
from tests.silent.worlds import Sheets

ARROW_TYPE = "application/vnd.apache.arrow.stream"
_NAME = "default"
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Request:
    """Sheets, the requested measures, and the carrier of the frames."""

    sheets: Sheets
    measures: tuple[str, ...]
    carrier: str


class Doors:
    """All doors of one fleet with one worker and a gateway."""

    def __init__(self, url: str, gateway_url: str, folder: Path, stack: ExitStack) -> None:
        self._url, self._folder = url, folder
        self._risk = stack.enter_context(RiskClient(url, timeout_s=_TIMEOUT_S))
        self._http = stack.enter_context(httpx.Client(base_url=gateway_url, timeout=_TIMEOUT_S))
        self._runner = stack.enter_context(asyncio.Runner())
        self._async = AsyncRiskClient(url, timeout_s=_TIMEOUT_S)
        stack.callback(lambda: self._runner.run(self._async.close()))
        self._celery = Celery(broker=url, backend=url, set_as_current=False)
        stack.callback(self._celery.close)
        self.all: dict[str, Callable[[Request], Outcome]] = {
            "check": self._check,
            "check_many": self._check_many,
            "check_table": self._check_table,
            "asyncio": self._asyncio,
            "celery": self._celery_task,
            "cli": self._command,
            "http": self._http_json,
            "arrow": self._http_arrow,
        }

    def ask(self, door: str, request: Request) -> Outcome:
        """Return the answers of a door; an error of any kind becomes a refusal."""
        try:
            return self.all[door](request)
        except RiskTasksError as error:
            return Refusal(f"{error.code} {error}", bool(error.code and error.remedy))
        except _RefusedError as error:
            return error.refusal
        except Exception as error:
            return Refusal(f"{type(error).__name__}: {error}", typed=False)

    # ------------------------------------------------------------------ doors of Python

    def _publish(self, request: Request) -> None:
        sheets = request.sheets
        if sheets.snapshot is not None:
            market = sheets.snapshot()
        else:
            path = self._folder / "scenarios.toml"
            path.write_text(toml(sheets.scenarios))
            market = read_market(
                self._source(sheets.prices, request.carrier),
                scenarios=read_scenarios(path),
                tags=sheets.instrument_tags,
            )
        self._risk.publish_market(market, _NAME)

    def _source(self, columns: Any, carrier: str) -> Any:
        if carrier == "csv":
            return write_csv(columns, self._folder / "table.csv")
        return frame_of(columns, carrier)

    def _options(self, request: Request) -> dict[str, Any]:
        return {
            "limits": LimitSet("own", [Limit(**limit) for limit in request.sheets.limits]),
            "measures": request.measures,
            "settings": MeasureSettings(**request.sheets.settings),
        }

    def _book(self, request: Request) -> list[Any]:
        return read_portfolios(self._source(request.sheets.book, request.carrier))

    def _check(self, request: Request) -> Outcome:
        self._publish(request)
        options = self._options(request)
        return _reports([self._risk.check(one, **options) for one in self._book(request)])

    def _check_many(self, request: Request) -> Outcome:
        self._publish(request)
        return _reports(self._risk.check_many(self._book(request), **self._options(request)))

    def _asyncio(self, request: Request) -> Outcome:
        self._publish(request)
        book, options = self._book(request), self._options(request)

        async def ask() -> list[Any]:
            return await asyncio.gather(*(self._async.check(one, **options) for one in book))

        return _reports(self._runner.run(ask()))

    def _check_table(self, request: Request) -> Outcome:
        self._publish(request)
        carrier = "arrow" if request.carrier == "csv" else request.carrier
        tables = [frame_of(columns, carrier) for columns in _tables(request.sheets)]
        beside = tables[1] if len(tables) > 1 else None
        options = self._options(request)
        return _rows(self._risk.check_table(tables[0], portfolios=beside, **options))

    # ------------------------------------------------------------------- other doors

    def _celery_task(self, request: Request) -> Outcome:
        self._publish(request)
        documents = []
        for portfolio in portfolio_documents(request.sheets.book):
            options = {
                "portfolio": portfolio,
                "limits": {"id": "own", "limits": request.sheets.limits},
                "measures": list(request.measures),
                "settings": request.sheets.settings,
            }
            result = self._celery.send_task("risk.check", kwargs=options, queue="risk.normal")
            documents.append(result.get(timeout=_TIMEOUT_S))
            result.forget()
        return _documents(documents)

    def _command(self, request: Request) -> Outcome:
        sheets, folder = request.sheets, self._folder
        prices = write_csv(sheets.prices, folder / "prices.csv")
        book = write_csv(sheets.book, folder / "book.csv")
        limits, scenarios = folder / "limits.toml", folder / "scenarios.toml"
        limits.write_text(toml({"id": "own", "limit": sheets.limits}))
        scenarios.write_text(toml(sheets.scenarios))
        tagged: list[str] = []
        if sheets.instrument_tags:
            (folder / "tags.toml").write_text(toml(sheets.instrument_tags))
            tagged = ["--tags", str(folder / "tags.toml")]
        self._run("market", "publish", prices, "--scenarios", scenarios, *tagged)
        options = [f"--{name}={value}" for name, value in sheets.settings.items()]
        measures = [word for name in request.measures for word in ("--measure", name)]
        printed = self._run("check", book, "--limits", limits, *measures, *options, "--json")
        return _documents(json.loads(printed)["reports"])

    def _run(self, *words: object) -> str:
        """Run the command in this process, on this system; raise what it refuses."""
        out, err = io.StringIO(), io.StringIO()
        kept = sys.argv
        sys.argv = ["risk-tasks", *map(str, words), "--broker-url", self._url]
        try:
            with redirect_stdout(out), redirect_stderr(err):
                cli.main()
        except SystemExit as end:
            if end.code:
                typed = err.getvalue().startswith("risk-tasks: ") or "Usage:" in err.getvalue()
                raise _RefusedError(Refusal(err.getvalue(), typed)) from None
        finally:
            sys.argv = kept
        return out.getvalue()

    def _http_json(self, request: Request) -> Outcome:
        sheets = request.sheets
        document = {
            "dates": [_iso(cell) for cell in sheets.prices[0][1]],
            "prices": dict(sheets.prices[1:]),
            "scenarios": iso(sheets.scenarios),
            "tags": sheets.instrument_tags,
        }
        self._accepted(self._http.put(f"/v1/markets/{_NAME}", json=document))
        body = {
            "portfolios": portfolio_documents(sheets.book),
            "limits": {"id": "own", "limits": sheets.limits},
            "measures": list(request.measures),
            "settings": sheets.settings,
        }
        answer = self._accepted(self._http.post("/v1/checks", json=body))
        return _documents(answer.json()["reports"])

    def _http_arrow(self, request: Request) -> Outcome:
        sheets, kind = request.sheets, {"Content-Type": ARROW_TYPE}
        prices = stream(arrow(sheets.prices))
        self._accepted(self._http.put(f"/v1/markets/{_NAME}", content=prices, headers=kind))
        limits = {"id": "own", "limits": sheets.limits}
        self._accepted(self._http.put("/v1/limits/own", json=limits))
        query = {"measures": ",".join(request.measures), "limits": "own"}
        if sheets.settings:
            query["settings"] = json.dumps(sheets.settings)
        body = stream(*map(arrow, _tables(sheets)))
        answer = self._accepted(
            self._http.post("/v1/checks", content=body, headers=kind, params=query)
        )
        return _rows(pa.ipc.open_stream(answer.content).read_all())

    def _accepted(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code == 200:
            return answer
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        typed = answer.status_code < 500 and "code" in problem
        raise _RefusedError(Refusal(f"{answer.status_code} {answer.text[:400]}", typed))


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def _iso(cell: Any) -> Any:
    return cell.isoformat() if hasattr(cell, "isoformat") else cell


def _tables(sheets: Sheets) -> list[Any]:
    """Return the table of positions, and the second table if there is one."""
    if sheets.portfolios is not None:
        return [sheets.book, sheets.portfolios]
    if not sheets.beside or len(sheets.book) == 3:
        return [sheets.book]
    return [sheets.book[:3], second_table(sheets.book)]


# ------------------------------------------------------------------------------- answers


def _reports(reports: Sequence[Any]) -> Outcome:
    return _documents(
        [json.loads(json.dumps(report_document(one), default=str)) for one in reports]
    )


def _documents(documents: Sequence[Mapping[str, Any]]) -> Outcome:
    answers = {}
    for document in documents:
        if "portfolio_id" not in document:
            typed = {"code", "message", "remedy"} <= document.keys()
            return Refusal(str(document), typed and document.get("decision", "reject") == "reject")
        measures = document.get("measures") or {}
        findings = {one["kind"] for one in document.get("data_quality") or ()}
        degraded = [name for name, one in measures.items() if one["status"] == "degraded"]
        counts = [one["n_observations"] for one in measures.values() if one.get("n_observations")]
        answers[document["portfolio_id"]] = Answer(
            {name: one["value"] for name, one in measures.items()},
            str(document["decision"]),
            str(document["status"]),
            document.get("limits_applied"),
            min(counts) if counts else None,
            frozenset(findings),
            frozenset(degraded),
        )
    return answers


_OTHERS = {
    *("portfolio_id", "status", "decision", "breach_count", "code", "limits_applied"),
    *("n_observations", "window_status", "data_quality"),
}


def _rows(table: pa.Table) -> Outcome:
    return {
        row["portfolio_id"]: Answer(
            {name: value for name, value in row.items() if name not in _OTHERS},
            row["decision"],
            row["status"],
            row.get("limits_applied"),
            row.get("n_observations"),
            frozenset(
                [one.split(":")[0] for one in row.get("data_quality") or ()]
                + (["short_window"] if row.get("window_status") == "short" else [])
            ),
        )
        for row in table.to_pylist()
    }


@contextmanager
def running_doors() -> Iterator[Doors]:
    """Start a server, one worker and a gateway, and open every door of them."""
    with (
        TemporaryDirectory(prefix="risk-tasks-silent-") as folder,
        running_fleet(FleetPlan(n_workers=1, gateway=True)) as fleet,
        ExitStack() as stack,
    ):
        assert fleet.gateway_url
        yield Doors(fleet.url, fleet.gateway_url, Path(folder), stack)
