"""Loads and calls the Lua scripts of the broker, the cache and the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias, TypeVar

import redis
from redis.exceptions import NoScriptError

Command: TypeAlias = Sequence[Any]
Result = TypeVar("Result")
Item = TypeVar("Item")

_SECTION = re.compile(r"^-- script: (\w+)$", re.MULTILINE)


class Script:
    """A script of the file `lua/FILE.lua` of a package.

    A file has one script, or several that each start with a line `-- script: NAME`. The text before
    the first of these lines, the head, is part of every script of the file. The heads of the files
    `after` come before it. A script must be safe to repeat, because lost connections are retried.
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

        If the server does not have the script, it is loaded and all commands run again.
        """
        # Not by the scripts of a redis-py pipeline: it adds SCRIPT EXISTS to each execution.
        return self._loaded(lambda: self._execute(commands, transaction))

    def _execute(self, commands: Sequence[Command], transaction: bool) -> list[Any]:
        with self._client.pipeline(transaction=transaction) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            return list(pipe.execute())

    def _loaded(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except NoScriptError:  # after a restart or SCRIPT FLUSH
            self._client.script_load(self._text)
            return call()


def in_chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield `items` in chunks of `size`, so that no script call blocks the server for long."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


@cache
def _text(package: str, parts: Sequence[str], name: str | None) -> str:
    files_read = [_read(package, part) for part in parts]
    heads = [head for head, _ in files_read]
    return "\n".join(heads if name is None else [*heads, files_read[-1][1][name]])


@cache
def _read(package: str, file: str) -> tuple[str, dict[str, str]]:
    """Return the head of a file and its scripts by name."""
    head, *named = _SECTION.split((files(package) / "lua" / f"{file}.lua").read_text())
    return head, dict(zip(named[::2], named[1::2], strict=True))


@cache
def _sha(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()
