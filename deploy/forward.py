"""Forward connections of programs on the host to the broker, in the profile `local`."""

from __future__ import annotations

import asyncio
import contextlib
import signal

PORT, BROKER = 6379, ("redis", 6379)
_CHUNK_BYTES = 1 << 16


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        from_broker, to_broker = await asyncio.open_connection(*BROKER)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_forward(reader, to_broker), _forward(from_broker, writer))


async def _main() -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await asyncio.start_server(_serve, "0.0.0.0", PORT)  # noqa: S104 - published on loopback only
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_main())
