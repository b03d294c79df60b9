"""Who computes which key, as the whole fleet sees it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from risk_tasks.cache.scripts import parts, script
from risk_tasks.cache.server import CacheServer
from risk_tasks.cache.shared import SharedTier


class Claim(IntEnum):
    """What became of asking for a key; the numbers are the script's."""

    HELD = 0
    OURS = 1
    PRESENT = 2


class Leases:
    """Leases on keys of `shared`, on the same server, by which one caller computes each.

    A lease ends by itself: one whose holder died is free again then.
    """

    def __init__(self, server: CacheServer, shared: SharedTier, prefix: bytes) -> None:
        self._server = server
        self._shared = shared
        self._prefix = prefix

    def claim(self, keys: Sequence[bytes], token: bytes, lease_s: float) -> list[Claim] | None:
        """Take the leases that are free, and say of each key how it stands; never waits.

        None where the server does not answer: then nobody knows who computes what, and all do.
        """
        return self._server.ask(
            lambda client: [
                Claim(answer)
                for part in parts(keys)
                for answer in script(client, "claim")(
                    keys=[*map(self._name, part), *map(self._shared.name, part)],
                    args=[token, max(1, round(lease_s * 1_000))],
                )
            ]
        )

    def release(self, keys: Sequence[bytes], token: bytes) -> None:
        """Give back those of `keys` whose lease is still `token`'s."""
        if keys:
            self._server.ask(
                lambda client: [
                    script(client, "release")(keys=list(map(self._name, part)), args=[token])
                    for part in parts(keys)
                ]
            )

    def _name(self, key: bytes) -> bytes:
        return self._prefix + key
