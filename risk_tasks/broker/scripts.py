"""The Lua beside this file, and how it is called."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import redis
from redis.exceptions import NoScriptError

#: what every script may call, in the order in which the parts need each other
_PRELUDE = ("settle", "dead")


@cache
def script(name: str) -> str:
    """Return the text of a script, after the functions that all of them share."""
    folder = files("risk_tasks.broker") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in (*_PRELUDE, name))


#: up to here a copy costs less than a command of its own
SMALL_BYTES = 16 << 10


class Script:
    """A script that is called alone, or beside the command that moves its bytes.

    What passes through Lua is copied into it and out of it again, which for the payload of a large
    block costs more than all else that the script does.
    """

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client = client
        self._script = client.register_script(script(name))

    def __call__(self, *, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> Any:
        return self._script(keys=keys, args=args)

    def carrying(self, data: bytes, *command: Any, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run the script on `data`: its last argument, or where it is large, what `command` writes.

        The two are one transaction then.
        """
        if len(data) <= SMALL_BYTES:
            return self(keys=keys, args=[*args, data])
        return self._run([command, self._call(keys, args)], transaction=True)[1]

    def before(self, *command: Any, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run the script, then `command`, which may come too late; return the answers of both."""
        return self._run([self._call(keys, args), command], transaction=False)

    def _call(self, keys: Sequence[str], args: Sequence[Any]) -> list[Any]:
        return ["EVALSHA", self._script.sha, len(keys), *keys, *args]

    def _run(self, commands: Sequence[Sequence[Any]], *, transaction: bool) -> Any:
        # Not the pipeline's own way with scripts: it asks the server each time whether it has them.
        try:
            return self._execute(commands, transaction)
        except NoScriptError:
            self._client.script_load(self._script.script)
            return self._execute(commands, transaction)

    def _execute(self, commands: Sequence[Sequence[Any]], transaction: bool) -> Any:
        with self._client.pipeline(transaction=transaction) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipe.execute()
