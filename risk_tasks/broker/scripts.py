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


class Script:
    """A script that is called alone, or in one transaction with the command that moves its bytes.

    What passes through Lua is copied into it and out of it again, which for the payload of a
    block costs more than all else that the script does.
    """

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client = client
        self._script = client.register_script(script(name))

    def __call__(self, *, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> Any:
        return self._script(keys=keys, args=args)

    def after(self, command: Sequence[Any], *, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run `command`, then the script; return the answers of both."""
        return self._transact([command, self._call(keys, args)])

    def before(self, command: Sequence[Any], *, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run the script, then `command`; return the answers of both."""
        return self._transact([self._call(keys, args), command])

    def _call(self, keys: Sequence[str], args: Sequence[Any]) -> list[Any]:
        return ["EVALSHA", self._script.sha, len(keys), *keys, *args]

    def _transact(self, commands: Sequence[Sequence[Any]]) -> Any:
        # Not the pipeline's own way with scripts: it asks the server each time whether it has them.
        try:
            return self._execute(commands)
        except NoScriptError:
            self._client.script_load(self._script.script)
            return self._execute(commands)

    def _execute(self, commands: Sequence[Sequence[Any]]) -> Any:
        with self._client.pipeline(transaction=True) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipe.execute()
