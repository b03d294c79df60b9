"""Lua scripts: where their text is, and the one way in which they are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias, TypeVar

import redis
from redis.exceptions import NoScriptError

Command: TypeAlias = Sequence[Any]
Result = TypeVar("Result")

_SECTION = re.compile(r"^-- script: (\w+)$", re.MULTILINE)


class Script:
    """A script of the file `lua/FILE.lua` of a package.

    A file holds one script, or several that each begin with a line `-- script: NAME`. What stands
    before the first of these is part of every script of the file; so is what stands there in the
    files named in `after`. A script may run twice, since a lost connection is retried.
    """

    def __init__(
        self,
        client: redis.Redis,
        package: str,
        file: str,
        name: str | None = None,
        *,
        after: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._text = _text(package, (*after, file), name)
        self._sha = _sha(self._text)

    def __call__(self, *, keys: Sequence[Any] = (), args: Sequence[Any] = ()) -> Any:
        command = self.command(keys, args)
        return self._loaded(lambda: self._client.execute_command(*command))  # type: ignore[no-untyped-call]

    def command(self, keys: Sequence[Any], args: Sequence[Any]) -> Command:
        """Return the command that calls the script, for `run_all`."""
        return ["EVALSHA", self._sha, len(keys), *keys, *args]

    def run_all(self, commands: Sequence[Command], *, transaction: bool) -> list[Any]:
        """Run `commands`, calls of this script among them, in one round trip.

        Where the server does not have the script yet, all of them run again.
        """
        # A pipeline of redis-py asks the server for its scripts by one more round trip each time.
        return self._loaded(lambda: self._execute(commands, transaction))

    def _execute(self, commands: Sequence[Command], transaction: bool) -> list[Any]:
        with self._client.pipeline(transaction=transaction) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            return list(pipe.execute())

    def _loaded(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except NoScriptError:  # a server that has just started, or whose scripts were flushed
            self._client.script_load(self._text)
            return call()


@cache
def _text(package: str, parts: Sequence[str], name: str | None) -> str:
    files_read = [_read(package, part) for part in parts]
    heads = [head for head, _ in files_read]
    return "\n".join(heads if name is None else [*heads, files_read[-1][1][name]])


@cache
def _read(package: str, file: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first script of a file, and the scripts by name."""
    head, *named = _SECTION.split((files(package) / "lua" / f"{file}.lua").read_text())
    return head, dict(zip(named[::2], named[1::2], strict=True))


@cache
def _sha(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()
