"""Who leases which shard: all agree, shares are even, and little moves when workers come and go."""

from __future__ import annotations

from collections import Counter
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.sharding import Moves, next_moves

NAMES = st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=12, unique=True)
SHARDS = st.integers(1, 80)


def settled(workers: list[str], leases: dict[int, str], n_shards: int) -> tuple[dict, int]:
    """Let the workers act in turn, each on what stands then; return the leases and the rounds."""
    leases = dict(leases)
    for n_rounds in range(8):
        n_moves = 0
        for worker in workers:
            moves = next_moves(worker, workers, leases, n_shards)
            n_moves += bool(moves)
            for shard in moves.give_up:
                assert leases.pop(shard) == worker
            for shard in moves.take:
                assert leases.get(shard) not in workers
                leases[shard] = worker
        if not n_moves:
            return leases, n_rounds
    raise AssertionError(f"{workers} still move shards: {leases}")


def moved(before: dict[int, str], after: dict[int, str]) -> int:
    return sum(before[shard] != after[shard] for shard in before)


def is_even(names: list[str], leases: dict[int, str]) -> bool:
    """Whether these and no others hold shares that differ by one at the most."""
    shares = Counter(dict.fromkeys(names, 0))
    shares.update(leases.values())
    return set(shares) == set(names) and max(shares.values()) - min(shares.values()) <= 1


@given(NAMES, SHARDS)
def test_every_shard_is_leased_and_shares_differ_by_one_at_the_most(names, n_shards):
    leases, _ = settled(names, {}, n_shards)

    assert sorted(leases) == list(range(n_shards))
    assert is_even(names, leases)


@given(NAMES, SHARDS, st.data())
def test_from_any_leases_everybody_comes_to_rest_within_few_rounds(names, n_shards, data):
    """Also from such as no worker would have made, of the living and the dead."""
    holders = st.sampled_from([*names, "x", "y"])
    leases = data.draw(st.dictionaries(st.integers(0, n_shards - 1), holders))

    after, n_rounds = settled(names, leases, n_shards)

    assert sorted(after) == list(range(n_shards))
    assert is_even(names, after)
    assert n_rounds <= 3


@given(NAMES, SHARDS)
def test_one_who_joins_takes_its_share_and_no_other_shard_moves(names, n_shards):
    before, _ = settled(names, {}, n_shards)

    after, _ = settled([*names, "z"], before, n_shards)

    assert {after[shard] for shard in before if before[shard] != after[shard]} <= {"z"}
    assert is_even([*names, "z"], after)
    assert moved(before, after) <= n_shards / len(names)


@given(NAMES, SHARDS, st.data())
def test_of_one_who_leaves_only_its_own_shards_move(names, n_shards, data):
    names = [*names, "z"]
    leaving = data.draw(st.sampled_from(names))
    before, _ = settled(names, {}, n_shards)

    after, _ = settled([name for name in names if name != leaving], before, n_shards)

    assert all(before[shard] == leaving for shard in before if before[shard] != after[shard])
    assert moved(before, after) <= ceil(n_shards / len(names))


@given(st.lists(st.sampled_from(["join", "leave"]), max_size=25), st.integers(12, 80))
def test_after_any_comings_and_goings_at_most_two_shares_move_each_time(events, n_shards):
    """The bar: 2/n of the portfolios, where there are no more workers than shards."""
    names, leases = ["w0"], {}
    leases, _ = settled(names, leases, n_shards)
    for number, event in enumerate(events, 1):
        n = len(names)
        if event == "join" and n < 12:
            names = [*names, f"w{number}"]
        elif event == "leave" and n > 1:
            names = names[1:]
        else:
            continue
        after, _ = settled(names, leases, n_shards)
        assert moved(leases, after) <= 2 * n_shards / n
        assert is_even(names, after)
        leases = after


@given(NAMES, SHARDS, st.data())
def test_all_who_see_the_same_agree(names, n_shards, data):
    """Nobody takes what another takes, or more than is there, when all act at one moment."""
    holders = st.sampled_from([*names, "x"])
    leases = data.draw(st.dictionaries(st.integers(0, n_shards - 1), holders))

    each = {name: next_moves(name, names, leases, n_shards) for name in names}

    taken = [shard for moves in each.values() for shard in moves.take]
    assert len(taken) == len(set(taken))
    assert all(leases.get(shard) not in names for shard in taken)
    for name, moves in each.items():
        assert all(leases[shard] == name for shard in moves.give_up)
    # In whatever order they are named.
    reversed_leases = dict(reversed(leases.items()))
    assert each == {
        name: next_moves(name, names[::-1], reversed_leases, n_shards) for name in names
    }


def test_a_worker_at_rest_does_nothing():
    assert next_moves("a", ["a", "b"], {0: "a", 1: "b"}, 2) == Moves()
    assert not Moves()
    assert Moves(take=(1,))


def test_more_workers_than_shards_leave_some_without():
    leases, _ = settled(["a", "b", "c"], {}, 2)

    assert Counter(leases.values()) == {"a": 1, "b": 1}
