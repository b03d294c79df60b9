"""In any order of steps, one flight at a time computes a key, and nothing is left behind."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from risk_tasks.cache.single_flight import Flight
from tests.unit.cache.support import Clock, Fleet, Process, values

KEYS = [b"a", b"b", b"c", b"d"]
SOME_KEYS = st.lists(st.sampled_from(KEYS), unique=True)
PICK = st.integers(0, 99)


class Flights(RuleBasedStateMachine):
    """Two processes with any number of flights; no lease expires before its holder releases it."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(Clock())
        self.processes = [Process(self.fleet), Process(self.fleet)]
        self.flights: list[Flight] = []

    @rule(process=st.integers(0, 1), keys=SOME_KEYS)
    def start(self, process: int, keys: list[bytes]) -> None:
        flight = self.processes[process].start(*keys, lease_s=1e9)
        assert sorted([*flight.mine, *flight.missing, *flight.found]) == sorted(keys)
        self.flights.append(flight)

    @precondition(lambda self: self.flights)
    @rule(pick=PICK, computed=SOME_KEYS)
    def finish(self, pick: int, computed: list[bytes]) -> None:
        flight = self.flights[pick % len(self.flights)]
        mine = set(flight.mine)
        flight.finish(values({key: b"value of " + key for key in computed}, 60))
        assert mine & set(computed) <= set(flight.found)
        assert flight.mine == []

    @precondition(lambda self: self.flights)
    @rule(pick=PICK)
    def wait(self, pick: int) -> None:
        flight = self.flights[pick % len(self.flights)]
        had_others = set(flight.missing)
        assert flight.wait(self.fleet.clock()) == bool(flight.mine)
        assert had_others <= {*flight.found, *flight.mine, *flight.missing}

    @precondition(lambda self: self.flights)
    @rule(pick=PICK)
    def leave(self, pick: int) -> None:
        with self.flights.pop(pick % len(self.flights)):
            pass

    @rule()
    def expire(self) -> None:
        """All results expire in all tiers."""
        self.fleet.values.clear()
        self.fleet.clock.now_s += 60

    @invariant()
    def one_computes_a_key(self) -> None:
        mine = [key for flight in self.flights for key in flight.mine]
        assert len(mine) == len(set(mine))
        assert set(mine) == set(self.fleet.leases)

    @invariant()
    def values_are_those_of_their_keys(self) -> None:
        for flight in self.flights:
            assert all(value == b"value of " + key for key, value in flight.found.items())

    def teardown(self) -> None:
        for flight in self.flights:
            with flight:
                pass
        assert self.fleet.leases == {}
        for process in self.processes:
            assert process.flights._reservations == {}


TestFlights = Flights.TestCase
TestFlights.settings = settings(settings.get_profile("risk_tasks"), stateful_step_count=40)
