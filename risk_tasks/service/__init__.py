"""The pipeline, from a block of checks to its answer, for columnar blocks and for JSON."""

from risk_tasks.service.documents import DocumentService
from risk_tasks.service.limit_matches import LimitMatches
from risk_tasks.service.live import LiveRecorder
from risk_tasks.service.market_cache import MarketCache
from risk_tasks.service.pipeline import Service
from risk_tasks.service.popularity import Popularity
from risk_tasks.service.positions import PositionService
from risk_tasks.service.prewarm import Prewarmer
from risk_tasks.service.result_cache import ResultCache

__all__ = [
    "DocumentService",
    "LimitMatches",
    "LiveRecorder",
    "MarketCache",
    "Popularity",
    "PositionService",
    "Prewarmer",
    "ResultCache",
    "Service",
]
