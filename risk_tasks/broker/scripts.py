"""Scripts of the broker, and how a large payload passes them by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from risk_tasks import scripts

#: up to here a copy costs less than a command of its own
SMALL_BYTES = 16 << 10


class Script(scripts.Script):
    """A script that is called alone, or beside the command that moves its bytes.

    What passes through Lua is copied into it and out of it again, which for the payload of a large
    block costs more than all else that the script does.
    """

    def __init__(self, client: redis.Redis, name: str) -> None:
        super().__init__(client, "risk_tasks.broker", name, after=("settle", "dead"))

    def carrying(self, data: bytes, *command: Any, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run the script on `data`: its last argument, or where it is large, what `command` writes.

        The two are one transaction then.
        """
        if len(data) <= SMALL_BYTES:
            return self(keys=keys, args=[*args, data])
        return self.run_all([command, self.command(keys, args)], transaction=True)[1]

    def before(self, *command: Any, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run the script, then `command`, which may come too late; return the answers of both."""
        return self.run_all([self.command(keys, args), command], transaction=False)
