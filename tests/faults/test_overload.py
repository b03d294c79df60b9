"""A flood of the batch lane is refused, and urgent checks do not feel it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from risk_tasks import RiskClient
from risk_tasks.errors import QueueFullError, QuotaExceededError
from risk_tasks.embedded import FleetPlan, running_fleet
from risk_tasks.lanes import LANE_CAPACITY, LaneCapacity, Priority
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
