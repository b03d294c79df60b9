"""An overnight run: a Parquet file of positions in, measures and breaches out.

    python examples/overnight_batch.py positions.parquet results/

`positions.parquet` has the columns portfolio_id, instrument and quantity, sorted by portfolio_id.
The run reads it in parts, so that the file may be larger than memory, and checks each part in the
batch lane. It writes results/measures.parquet, with a row for each portfolio, and
results/breaches.parquet, with a row for each breach.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from risk_tasks import RiskClient

#: rows that are read at once
ROWS = 500_000
#: seconds that one part may take
TIMEOUT_S = 600.0


def parts(path: Path) -> Iterator[pa.Table]:
    """Yield tables that hold all rows of each of their portfolios."""
    rest: pa.Table | None = None
    for batch in pq.ParquetFile(path).iter_batches(ROWS):
        table = pa.Table.from_batches([batch])
        if rest is not None:
            table = pa.concat_tables([rest, table])
        last = table["portfolio_id"][-1]
        is_last = pc.equal(table["portfolio_id"], last)
        rest = table.filter(is_last)
        if rest.num_rows < table.num_rows:
            yield table.filter(pc.invert(is_last))
    if rest is not None:
        yield rest


def run(source: Path, target: Path) -> dict[str, int]:
    """Check `source`, write both files, and return the number of portfolios by decision."""
    target.mkdir(parents=True, exist_ok=True)
    measures, breaches = [], []
    with RiskClient.from_env() as risk:
        for part in parts(source):
            found, broken = risk.check_table(
                part, priority="batch", timeout_s=TIMEOUT_S, return_breaches=True
            )
            measures.append(found)
            breaches.append(broken)
    all_measures = pa.concat_tables(measures)
    pq.write_table(all_measures, target / "measures.parquet")
    pq.write_table(pa.concat_tables(breaches), target / "breaches.parquet")
    counts = all_measures["decision"].value_counts().to_pylist()
    return {count["values"]: count["counts"] for count in counts}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    for decision, n in sorted(run(arguments.source, arguments.target).items()):
        print(f"{decision}: {n}")
