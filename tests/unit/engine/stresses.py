"""Computes expected stress measures of generated books, by the reference implementations."""

from __future__ import annotations

import math

from risk_tasks.model.column import Outcome
from risk_tasks.model.scenario import Replay
from tests.reference import scenario as naive

GRAVEST_FIRST = (Outcome.NOT_IN_SCENARIO, Outcome.PARTLY_COVERED, Outcome.OK, Outcome.NO_EXPOSURE)


def expected_of(world, book, name):
    """Return (outcome, value) of a stress measure."""
    if name.name == "worst_stress_loss":
        return _worst([_loss(world, book, of) for of in world.stresses.values()])
    if name.item not in world.stresses:
        return Outcome.UNKNOWN_SCENARIO, None
    scenario = world.stresses[name.item]
    if name.name == "stress_loss":
        return _loss(world, book, scenario)
    held = naive.held(world.values(book))
    share = naive.coverage(held, _covered(world, scenario))
    return (Outcome.OK if held else Outcome.NO_EXPOSURE), float(share)


def _worst(found):
    """Return the worst loss; undefined if one is, since that one might be the worst."""
    if not found:
        return Outcome.UNKNOWN_SCENARIO, None
    outcome = next(of for of in GRAVEST_FIRST if of in {outcome for outcome, _ in found})
    is_undefined = outcome is Outcome.NOT_IN_SCENARIO
    return outcome, None if is_undefined else max(loss for _, loss in found)


def _loss(world, book, scenario):
    changes, covered = changes_of(world, scenario), _covered(world, scenario)
    lots = [(i, quantity, world.prices[i]) for i, quantity in book.positions]
    held = naive.held(world.values(book))
    loss = naive.loss_of_changes(lots, changes)
    if isinstance(scenario, Replay):
        share = naive.coverage(held, covered)
        if loss is None or share < scenario.min_coverage:
            return Outcome.NOT_IN_SCENARIO, None
        if any(i not in covered for i, _ in held):
            return Outcome.PARTLY_COVERED, loss
        return (Outcome.OK if held else Outcome.NO_EXPOSURE), loss
    if loss is None:
        return Outcome.NOT_IN_SCENARIO, None
    matters = [i for i, q, p in lots if q * p != 0 or (q != 0 and f"I{i}" in scenario.moves)]
    fields = naive_fields(scenario) | {"others": None}
    named = [i for i in matters if naive.change_of(f"I{i}", world.tags.get(f"I{i}", {}), fields)]
    return (Outcome.OK if named else Outcome.NO_EXPOSURE), loss


def naive_fields(scenario):
    return {of: getattr(scenario, of) for of in ("shocks", "moves", "by_tag", "others")}


def changes_of(world, scenario):
    """Return the change of each instrument, by its index."""
    indices = range(len(world.prices))
    if isinstance(scenario, Replay):
        rest = None if scenario.others is None else ("relative", scenario.others)
        grown = [
            naive.window_return(world.panel[i], world.dates, scenario.start, scenario.end)
            for i in indices
        ]
        return {i: rest if of is None else ("relative", of) for i, of in enumerate(grown)}
    fields = naive_fields(scenario)
    return {i: naive.change_of(f"I{i}", world.tags.get(f"I{i}", {}), fields) for i in indices}


def _covered(world, scenario):
    """Return the instruments with a change in the scenario, without the fallback of a replay."""
    if not isinstance(scenario, Replay):
        return {i for i, change in changes_of(world, scenario).items() if change is not None}
    window = (scenario.start, scenario.end)
    rows = enumerate(world.panel)
    return {i for i, row in rows if naive.window_return(row, world.dates, *window) is not None}


def is_at_the_edge(world, book):
    """Whether the coverage of a replay equals its minimum up to rounding."""
    replays = [of for of in world.stresses.values() if isinstance(of, Replay)]
    held = naive.held(world.values(book))
    gaps = [float(naive.coverage(held, _covered(world, of))) - of.min_coverage for of in replays]
    return any(0 < abs(gap) <= 1e-12 and math.isfinite(gap) for gap in gaps)
