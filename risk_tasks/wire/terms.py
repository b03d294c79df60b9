"""What all checks of a block have in common, as texts."""

from __future__ import annotations

import json
from functools import lru_cache

from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.wire.documents import (
    limit_set_document,
    read_limit_set,
    read_settings,
    settings_document,
)
from risk_tasks.wire.framing import decoding
from risk_tasks.wire.request import Detail, Terms

#: in the order of `write_terms`
TERMS = ("measures", "settings", "limits", "detail")


def write_terms(terms: Terms) -> tuple[str, str, str, str]:
    """Return `terms` as texts; the limits of none are an empty one."""
    return (
        _measures_text(terms.measures),
        _settings_text(terms.settings),
        json.dumps(limit_set_document(terms.limits)) if terms.limits else "",
        terms.detail.value,
    )


@lru_cache(maxsize=256)
def read_terms(measures: str, settings: str, limits: str, detail: str) -> Terms:
    """Return what `write_terms` wrote; raises `DecodeError`.

    Remembered: the blocks of a call say the same, and most calls do.
    """
    with decoding("terms of a request"):
        return Terms(
            measures=parse_measures(json.loads(measures)),
            settings=read_settings(json.loads(settings)),
            limits=read_limit_set(json.loads(limits)) if limits else None,
            detail=Detail(detail),
        )


@lru_cache(maxsize=256)
def _measures_text(names: tuple[MeasureName, ...]) -> str:
    return json.dumps([str(name) for name in names])


@lru_cache(maxsize=256)
def _settings_text(settings: MeasureSettings) -> str:
    return json.dumps(settings_document(settings))
