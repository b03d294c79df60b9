"""In any order of leading, landing, waiting and letting go, one computes a key; nothing is left."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from risk_tasks.cache import Turn, Waited
from tests.unit.cache.support import Clock, Fleet, Process

KEYS = [b"a", b"b", b"c", b"d"]
SOME_KEYS = st.lists(st.sampled_from(KEYS), unique=True)
PICK = st.integers(0, 99)


class Flights(RuleBasedStateMachine):
    """Two processes with any number of turns; no lease ends before its holder lets go."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(Clock())
        self.processes = [Process(self.fleet), Process(self.fleet)]
        self.turns: list[tuple[int, Turn]] = []

    @rule(process=st.integers(0, 1), keys=SOME_KEYS)
    def lead(self, process: int, keys: list[bytes]) -> None:
        turn = self.processes[process].lead(*keys, lease_s=1e9)
        assert sorted([*turn.mine, *turn.others, *turn.found]) == sorted(keys)
        self.turns.append((process, turn))

    @precondition(lambda self: self.turns)
    @rule(pick=PICK, computed=SOME_KEYS)
    def land(self, pick: int, computed: list[bytes]) -> None:
        _, turn = self.turns[pick % len(self.turns)]
        mine = set(turn.mine)
        turn.land({key: b"value of " + key for key in computed}, 60)
        assert mine & set(computed) <= set(turn.found)
        assert turn.mine == []

    @precondition(lambda self: self.turns)
    @rule(pick=PICK)
    def wait(self, pick: int) -> None:
        _, turn = self.turns[pick % len(self.turns)]
        had_others = set(turn.others)
        ended = turn.wait(self.fleet.clock())
        assert (ended is Waited.TAKEN_OVER) == bool(turn.mine)
        assert turn.mine or had_others <= {*turn.found, *turn.late}

    @precondition(lambda self: self.turns)
    @rule(pick=PICK)
    def let_go(self, pick: int) -> None:
        _, turn = self.turns.pop(pick % len(self.turns))
        turn.close()

    @rule()
    def forget(self) -> None:
        """A result expires everywhere."""
        self.fleet.values.clear()
        self.fleet.clock.now_s += 60

    @invariant()
    def one_computes_a_key(self) -> None:
        mine = [key for _, turn in self.turns for key in turn.mine]
        assert len(mine) == len(set(mine))
        assert set(mine) == set(self.fleet.leases)

    @invariant()
    def values_are_those_of_their_keys(self) -> None:
        for _, turn in self.turns:
            assert all(value == b"value of " + key for key, value in turn.found.items())

    def teardown(self) -> None:
        for _, turn in self.turns:
            turn.close()
        assert self.fleet.leases == {}
        for process in self.processes:
            assert process.flight._seats._seats == {}


TestFlights = Flights.TestCase
TestFlights.settings = settings(settings.get_profile("risk_tasks"), stateful_step_count=40)
