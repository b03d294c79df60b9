"""What one caller computes and waits for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Self

from risk_tasks.cache.counters import CacheCounters
from risk_tasks.cache.leases import Claim, Leases
from risk_tasks.cache.seats import Seat, Seats
from risk_tasks.cache.tier import Found
from risk_tasks.cache.two_tiers import TwoTiers

#: a waiter looks again after a tenth of the time that it has waited, within these
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.05


class Waited(StrEnum):
    """How a wait ended."""

    #: everything is there
    ARRIVED = "arrived"
    #: somebody let go of keys, or died: they are the caller's to compute now
    TAKEN_OVER = "taken_over"
    #: the deadline passed; what has not come is `late`
    LATE = "late"


class Turn:
    """A block of keys on its way, of one thread; to be used in a `with`, which lets go of the rest.

    `mine` is to be computed now, `others` are being computed elsewhere, `found` has the values that
    are there, `late` what had not come at the deadline.
    """

    def __init__(
        self,
        tiers: TwoTiers,
        leases: Leases,
        seats: Seats,
        counters: CacheCounters,
        *,
        lease_s: float,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self.found: dict[bytes, bytes] = {}
        self.mine: list[bytes] = []
        self.late: list[bytes] = []
        self._tiers = tiers
        self._leases = leases
        self._seats = seats
        self._counters = counters
        self._lease_s = lease_s
        self._clock = clock
        self._pause = pause
        self._token = uuid.uuid4().bytes
        #: their seats are ours, and the server is asked about them
        self._away: dict[bytes, None] = {}
        #: seen to by another thread of this process
        self._beside: dict[bytes, Seat] = {}
        #: left to others of this process while we compute
        self._aside: dict[bytes, None] = {}
        self._waited_for: set[bytes] = set()

    @property
    def others(self) -> list[bytes]:
        return [*self._away, *self._beside, *self._aside]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all that is not landed."""
        mine, self.mine = self.mine, []
        self._finish(mine, {})
        self._give_up()

    def take(self, keys: Iterable[bytes]) -> None:
        """Take what nobody computes, and see how it stands with the rest; never waits."""
        seated, beside = self._seats.take(keys)
        self._away |= dict.fromkeys(seated)
        self._beside |= beside
        self._note_waiting(beside)
        # Who had a seat before us may have left its value here.
        self._receive(seated, self._tiers.local.look_up(seated))
        self._claim([key for key in seated if key in self._away])

    def land(self, entries: Mapping[bytes, bytes], ttl_s: float, *, cost_s: float = 0.0) -> None:
        """Keep what was computed of `mine`, each entry at `cost_s` seconds, and wake who waits.

        What is not among `entries` is let go, so that others may try.
        """
        values = {key: entries[key] for key in self.mine if key in entries}
        self._tiers.set_many(values, ttl_s, cost_s=cost_s)
        self.found |= values
        mine, self.mine = self.mine, []
        self._finish(mine, {key: Found(value, ttl_s, cost_s) for key, value in values.items()})

    def wait(self, until_s: float) -> Waited:
        """Wait for `others` until `until_s` by the flight's clock, or until some are `mine`."""
        began_s = self._clock()
        aside, self._aside = self._aside, {}
        self.take(aside)
        while True:
            self._look()
            if self.mine:
                return Waited.TAKEN_OVER
            if not self.others:
                return Waited.ARRIVED
            now_s = self._clock()
            if now_s >= until_s:
                self.late = self.others
                self._counters.add(late=len(self.late))
                self._give_up()
                return Waited.LATE
            pause_s = min(max((now_s - began_s) / 10, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
            self._sit_out(pause_s, until_s - now_s)

    def _look(self) -> None:
        self._claim(list(self._away))
        done = {key: seat for key, seat in self._beside.items() if seat.is_done}
        for key in done:
            del self._beside[key]
        landed = {key: seat.found for key, seat in done.items() if seat.found is not None}
        self._keep(landed)
        if len(landed) < len(done):
            self.take([key for key in done if key not in landed])

    def _sit_out(self, pause_s: float, left_s: float) -> None:
        """Wait for a thread beside us, or where the server has to be asked again, that long."""
        at_most_s = min(pause_s, left_s) if self._away else left_s
        seat = next(iter(self._beside.values()), None)
        if seat is None or seat.done is None:
            self._pause(at_most_s)
        else:
            seat.done.wait(at_most_s)

    def _claim(self, keys: Sequence[bytes]) -> None:
        """See how the fleet stands to keys whose seats are ours."""
        if not keys:
            return
        claims = self._leases.claim(keys, self._token, self._lease_s)
        if claims is None:
            self._begin(keys)
            return
        by_claim: dict[Claim, list[bytes]] = {claim: [] for claim in Claim}
        for key, claim in zip(keys, claims, strict=True):
            by_claim[claim].append(key)
        self._note_waiting(by_claim[Claim.HELD])
        ours, present = by_claim[Claim.OURS], by_claim[Claim.PRESENT]
        self._counters.add(take_overs=sum(key in self._waited_for for key in ours))
        # One that cannot be read is deleted by being looked up, and free at the next look.
        if present:
            self._receive(present, self._tiers.look_up(present))
        self._begin(ours)

    def _begin(self, keys: Sequence[bytes]) -> None:
        """Make `keys` ours to compute; until then nobody should wait for us to ask the server."""
        if not keys:
            return
        for key in keys:
            del self._away[key]
        self.mine += keys
        self._aside |= self._away
        self._leave_away()

    def _receive(self, keys: Sequence[bytes], found: Sequence[Found | None]) -> None:
        """Take values that turned up for keys whose seats are ours, and pass them on."""
        landed = {key: each for key, each in zip(keys, found, strict=True) if each is not None}
        for key in landed:
            self._away.pop(key, None)
        self._seats.leave(landed, landed)
        self._keep(landed)

    def _keep(self, landed: Mapping[bytes, Found]) -> None:
        if landed:
            self.found |= {key: each.value for key, each in landed.items()}
            self._counters.add(
                arrivals=len(landed), saved_s=sum(each.cost_s for each in landed.values())
            )

    def _finish(self, mine: Sequence[bytes], landed: Mapping[bytes, Found]) -> None:
        self._leases.release(mine, self._token)
        self._seats.leave(mine, landed)

    def _give_up(self) -> None:
        self._beside, self._aside = {}, {}
        self._leave_away()

    def _leave_away(self) -> None:
        away, self._away = self._away, {}
        self._seats.leave(away, {})

    def _note_waiting(self, keys: Iterable[bytes]) -> None:
        new = set(keys) - self._waited_for
        self._waited_for |= new
        if new:
            self._counters.add(waits=len(new))
