"""Single flight: of all callers that need a missing key, one computes it and the others wait.

Within a process a dictionary of reservations decides, and between processes leases on the server.
A caller first computes every key that is free, and waits for the others only when it has nothing
left to compute, so two blocks that overlap cannot wait for each other. Without a server, each
process computes for itself.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Self

from risk_tasks.cache.server import CacheServer
from risk_tasks.cache.tiers import KEYS_PER_SCRIPT, CachedValue, SharedTier, TwoTiers
from risk_tasks.scripts import Script, in_chunks

#: the server is polled again after a tenth of the time waited so far, within these bounds
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.05


class Claim(IntEnum):
    """The answer to a claim of a key; the numbers are those of the script."""

    HELD = 0
    OURS = 1
    PRESENT = 2


class Leases:
    """Leases on keys of `shared`, on the same server. One whose holder died expires."""

    def __init__(self, server: CacheServer, shared: SharedTier, prefix: bytes) -> None:
        self._server = server
        self._shared = shared
        self._prefix = prefix

    def claim(self, keys: Sequence[bytes], token: bytes, lease_s: float) -> list[Claim] | None:
        """Take the leases that are free and return the state of each key; never waits.

        Returns None where the server does not answer.
        """
        lease_ms = max(1, round(lease_s * 1_000))
        return self._server.call(
            lambda client: [
                Claim(answer)
                for chunk in in_chunks(keys, KEYS_PER_SCRIPT)
                for answer in Script(client, "risk_tasks.cache", "cache", "claim")(
                    keys=[*map(self._name, chunk), *map(self._shared.name, chunk)],
                    args=[token, lease_ms],
                )
            ]
        )

    def release(self, keys: Sequence[bytes], token: bytes) -> None:
        """Release the leases of `keys` that still belong to `token`."""
        if keys:
            self._server.call(
                lambda client: [
                    Script(client, "risk_tasks.cache", "cache", "release")(
                        keys=[*map(self._name, chunk)], args=[token]
                    )
                    for chunk in in_chunks(keys, KEYS_PER_SCRIPT)
                ]
            )

    def _name(self, key: bytes) -> bytes:
        return self._prefix + key


@dataclass(slots=True)
class Reservation:
    """A key that a thread computes or polls; without a `value` at its end, it was released."""

    is_done: bool = False
    value: CachedValue | None = None


class SingleFlight:
    """Runs computations; one instance for all threads of a process."""

    def __init__(
        self,
        tiers: TwoTiers,
        leases: Leases,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.tiers = tiers
        self.leases = leases
        self.counters = tiers.counters
        self.clock = clock
        self.pause = pause
        self._reservations: dict[bytes, Reservation] = {}
        self._changed = threading.Condition()

    def compute_once(
        self,
        keys: Iterable[bytes],
        compute: Callable[[Sequence[bytes]], Mapping[bytes, CachedValue]],
        *,
        lease_s: float,
        until_s: float,
    ) -> dict[bytes, bytes]:
        """Return values by key: those that `compute` returns here, and those of other callers.

        Waits for other callers until `until_s` by `clock`; keys that have not arrived by then, and
        keys that `compute` leaves out, are absent. `lease_s` is how long other processes wait for
        this one before they compute a key themselves: well above the time that computing takes.
        """
        with Flight(self, keys, lease_s) as flight:
            while flight.wait(until_s):
                flight.finish(compute(flight.mine))
            return flight.found

    def reserve(self, keys: Iterable[bytes]) -> tuple[list[bytes], dict[bytes, Reservation]]:
        """Reserve the keys that are free in this process.

        Returns them, and the reservations that other threads have of the rest.
        """
        reserved: list[bytes] = []
        elsewhere: dict[bytes, Reservation] = {}
        with self._changed:
            for key in keys:
                if key in self._reservations:
                    elsewhere[key] = self._reservations[key]
                else:
                    self._reservations[key] = Reservation()
                    reserved.append(key)
        return reserved, elsewhere

    def end(self, values: Mapping[bytes, CachedValue | None]) -> None:
        """End reservations, and wake the threads that wait for them."""
        with self._changed:
            for key, value in values.items():
                reservation = self._reservations.pop(key)
                reservation.value, reservation.is_done = value, True
            self._changed.notify_all()

    def wait_for_any(self, reservations: Iterable[Reservation], timeout_s: float) -> None:
        """Wait until one of `reservations` ends."""
        with self._changed:
            self._changed.wait_for(lambda: any(one.is_done for one in reservations), timeout_s)


class Flight:
    """The keys of one caller. Use it in a `with`, which releases what is not finished.

    `mine` is for the caller to compute now, `found` has the values that are there, and `missing`
    is all the rest.
    """

    def __init__(self, flights: SingleFlight, keys: Iterable[bytes], lease_s: float) -> None:
        self.found: dict[bytes, bytes] = {}
        self.mine: list[bytes] = []
        #: in the order of the caller; a dictionary, since a set has no order
        self.missing = dict.fromkeys(keys)
        self._flights = flights
        self._lease_s = lease_s
        self._token = uuid.uuid4().bytes
        #: `mine`, and the missing keys that this flight polls for the whole process
        self._reserved: set[bytes] = set()
        #: missing keys that other threads of this process have reserved
        self._reserved_elsewhere: dict[bytes, Reservation] = {}
        self._waited_for: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish({})
        self._end(self._reserved)

    def take(self) -> None:
        """Claim what is free, and collect what has arrived; never waits."""
        before = self._reserved_elsewhere
        new, self._reserved_elsewhere = self._flights.reserve(self.missing.keys() - self._reserved)
        self._reserved.update(new)
        self._receive({key: one.value for key, one in before.items()})
        # The thread that had reserved a key before may have left its value here.
        local = self._flights.tiers.local.get_many(new)
        self._receive(dict(zip(new, local, strict=True)))
        self._claim([key for key in self.missing if key in self._reserved])
        if self.mine:
            # While this thread computes, other threads poll for the other keys.
            self._end(self._reserved.difference(self.mine))
        waits = self.missing.keys() - self._waited_for
        self._waited_for |= waits
        if waits:
            self._flights.counters.add(waits=len(waits))

    def wait(self, until_s: float) -> bool:
        """Wait until some keys are `mine` to compute, and return True.

        Returns False when all keys are found, or `until_s` by the clock has passed.
        """
        clock = self._flights.clock
        started_s = clock()
        while True:
            self.take()
            now_s = clock()
            if self.mine or not self.missing:
                return bool(self.mine)
            if now_s >= until_s:
                self._flights.counters.add(late=len(self.missing))
                self._end(self._reserved)
                return False
            self._pause(now_s - started_s, until_s - now_s)

    def finish(self, values: Mapping[bytes, CachedValue]) -> None:
        """Keep what was computed of `mine`, and release the rest of `mine` for other callers."""
        mine, self.mine = self.mine, []
        computed = {key: values[key] for key in mine if key in values}
        self._flights.tiers.set_many(computed)
        self.found |= {key: one.value for key, one in computed.items()}
        self._flights.leases.release(mine, self._token)
        self._end(mine, computed)

    def _claim(self, keys: Sequence[bytes]) -> None:
        """Ask the server about keys that this flight has reserved."""
        if not keys:
            return
        claims = self._flights.leases.claim(keys, self._token, self._lease_s)
        if claims is not None:
            by_key = dict(zip(keys, claims, strict=True))
            present = [key for key, claim in by_key.items() if claim is Claim.PRESENT]
            if present:
                # A damaged value is deleted by the look-up, and its key is free the next time.
                values = self._flights.tiers.get_many(present, is_counted=False)
                self._receive(dict(zip(present, values, strict=True)))
            keys = [key for key, claim in by_key.items() if claim is Claim.OURS]
            self._flights.counters.add(take_overs=len(self._waited_for.intersection(keys)))
        self.mine += keys
        for key in keys:
            del self.missing[key]

    def _receive(self, values: Mapping[bytes, CachedValue | None]) -> None:
        """Keep those of `values` that are present and still missing here."""
        arrived = {key: one for key, one in values.items() if one and key in self.missing}
        if not arrived:
            return
        for key in arrived:
            del self.missing[key]
            self._reserved_elsewhere.pop(key, None)
        self.found |= {key: one.value for key, one in arrived.items()}
        self._end(self._reserved.intersection(arrived), arrived)
        self._flights.counters.add(
            arrivals=len(arrived), saved_s=sum(one.cost_s for one in arrived.values())
        )

    def _end(
        self, keys: Iterable[bytes], values: Mapping[bytes, CachedValue] | None = None
    ) -> None:
        """End reservations; those without a value in `values` are released."""
        ended = {key: (values or {}).get(key) for key in keys}
        self._reserved.difference_update(ended)
        if ended:
            self._flights.end(ended)

    def _pause(self, waited_s: float, left_s: float) -> None:
        """Wait for other threads, and for other processes only until the next poll."""
        if len(self._reserved_elsewhere) < len(self.missing):
            pause_s = min(max(waited_s / 10, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
            left_s = min(pause_s, left_s)
        if self._reserved_elsewhere:
            self._flights.wait_for_any(self._reserved_elsewhere.values(), left_s)
        else:
            self._flights.pause(left_s)
