"""A pre-trade check: the service says whether an order may be sent.

The service adds the order to the book that the system holds and checks the result in the critical
lane. It answers 200 if the decision is `accept` or `warn`, 409 if it is `reject`, and 503 if there
is no answer in time. Only 200 lets an order through.

    uvicorn examples.pretrade_service:app --port 8300
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from risk_tasks import AsyncRiskClient, RequestError, TransportError

#: seconds that an order waits for its check
TIMEOUT_S = 1.0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncRiskClient(os.environ["RISK_TASKS_BROKER_URL"]) as risk:
        app.state.risk = risk
        yield


app = FastAPI(title="Pre-trade check", lifespan=lifespan)


class Order(BaseModel):
    """A change of one position of a live portfolio."""

    portfolio_id: str
    instrument: str
    #: shares; negative to sell
    quantity: float = Field(allow_inf_nan=False)


@app.post("/orders")
async def check_order(order: Order) -> dict[str, Any]:
    risk: AsyncRiskClient = app.state.risk
    try:
        held = await risk.get_portfolio(order.portfolio_id)
        positions = dict(held.positions)
        positions[order.instrument] = positions.get(order.instrument, 0.0) + order.quantity
        after = dataclasses.replace(held, positions=positions)
        report = await risk.check(after, priority="critical", timeout_s=TIMEOUT_S)
    except RequestError as error:
        raise HTTPException(422, detail=str(error)) from error
    except TransportError as error:  # no broker, a full lane, or no answer in time
        raise HTTPException(503, detail=str(error)) from error
    breaches = [
        f"{breach.measure} is {breach.observed:,.0f} {breach.unit}: limit {breach.threshold:,.0f}"
        for breach in report.breaches
    ]
    if report.decision not in {"accept", "warn"}:
        not_evaluated = [gap.limit for gap in report.not_evaluated]
        raise HTTPException(409, detail={"breaches": breaches, "not_evaluated": not_evaluated})
    return {"decision": report.decision, "breaches": breaches}
