"""The pipeline: a block of checks in, its answer out. Both doors lead here."""

from risk_tasks.service.demand import Demand
from risk_tasks.service.documents import DocumentService
from risk_tasks.service.live import LiveRecorder
from risk_tasks.service.market_cache import MarketCache
from risk_tasks.service.pipeline import Service
from risk_tasks.service.positions import PositionService
from risk_tasks.service.result_cache import ResultCache
from risk_tasks.service.warming import warm

__all__ = [
    "Demand",
    "DocumentService",
    "LiveRecorder",
    "MarketCache",
    "PositionService",
    "ResultCache",
    "Service",
    "warm",
]
