"""Nothing compiles once a worker consumes."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent(
    """
    import importlib, pkgutil
    from datetime import UTC, datetime
    import numpy as np
    from risk_tasks.model.stamp import Stamp
    from risk_tasks import kernels
    from risk_tasks.engine.warmup import compile_kernels
    from risk_tasks.model.market import MarketSnapshot
    from risk_tasks.model.scenario import Scenario
    from risk_tasks.model.measures import MeasureSettings, Precision
    from risk_tasks.model.registry import STANDARD_MEASURES
    from risk_tasks.model.measures import parse_measures
    from risk_tasks.model.portfolio import Portfolio
    from risk_tasks.service import MarketCache, Service
    from risk_tasks.wire.market import decode_market, encode_marks, encode_panel
    from risk_tasks.engine import BOUNDED
    from risk_tasks.model.confidence import VarConvention
    from risk_tasks.model.limits import Comparison, Limit, LimitSet
    from risk_tasks.wire.request import Detail, Terms, pack_portfolios
    from risk_tasks.wire.request import encode_request

    compile_kernels()
    modules = [importlib.import_module(m.name)
               for m in pkgutil.iter_modules(kernels.__path__, "risk_tasks.kernels.")]
    compiled = {k for m in modules for n, k in vars(m).items()
            if hasattr(k, "signatures") and not n.startswith("_")}
    before = {k.__name__: len(k.signatures) for k in compiled}
    # Those that read the panel, in either precision.
    assert {name for name, n in before.items() if n == 2} == {
        "profit_and_loss", "outcomes", "ledoit_wolf", "loadings", "lower_factor"}
    assert set(before.values()) == {1, 2}, before

    for n in (1, 3):
        names = [f"I{i}" for i in range(n)]
        snapshot = MarketSnapshot(datetime(2026, 1, 2, tzinfo=UTC), names, np.ones(n),
                                  np.linspace(-0.1, 0.1, 200 * n).reshape(200, n),
                                  scenarios={"s": Scenario({"I0": -0.1}, others=-0.2)})
        read = decode_market(encode_marks(snapshot), encode_panel(snapshot), snapshot.id)
        service = Service(MarketCache({snapshot.id: read}.get), {}.__getitem__)
        books = [Portfolio("a", {"I0": 1.0}), Portfolio("b", {}), Portfolio("c", {"no": 1.0})]
        for precision in Precision:
            terms = Terms(parse_measures([*STANDARD_MEASURES, "stress_loss:s"]),
                          MeasureSettings(precision=precision))
            service.run(encode_request(pack_portfolios(books, terms)), Stamp(snapshot.id))
    hard = LimitSet("hard", [Limit(name, hard=1e9, comparison="absolute")
                             for name in sorted(BOUNDED - {"stress_loss"})])
    for convention in VarConvention:
        terms = Terms((), MeasureSettings("0.985", 1, convention), hard, Detail.EXPLAINED)
        service.run(encode_request(pack_portfolios(books, terms)), Stamp(snapshot.id))

    after = {k.__name__: len(k.signatures) for k in compiled}
    assert after == before, after
    """
)


def test_the_first_block_after_warm_up_compiles_nothing() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)
