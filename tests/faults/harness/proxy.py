"""A TCP proxy in front of a broker that delays, throttles, goes silent without a word, cuts off, or refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import TracebackType

CHUNK = 64 * 1024


class Proxy:
    """Listens on a port of loopback and passes on to `target`, in a thread of its own, until left.

    `delay_s`: every chunk waits so long on its way, each way. `bytes_per_s` (0: no limit): how much passes each way of a
    connection. `hold()`: half open, nothing passes and nobody is told. `reset()`: every connection is cut off. `refuse()`:
    no new ones, and the old ones are held: a partition. `heal()`: as if nothing had been; what was held goes on.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._listening = threading.Event()
        self._open: asyncio.Event = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False
        self._ended: asyncio.Event = asyncio.Event()
        self.delay_s, self.bytes_per_s = 0.0, 0
        self.connections = 0
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])

    def hold(self) -> None:
        self._do(self._open.clear)

    def refuse(self) -> None:
        self._refusing = True
        self.hold()

    def heal(self) -> None:
        self._refusing = False
        self._do(self._open.set)

    def reset(self) -> None:
        self._do(self._abort)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _do(self, what: object) -> None:
        assert callable(what)
        self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._open.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=CHUNK)
        self._listening.set()
        await self._ended.wait()
        server.close()
        self._abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._refusing:
                return
            await self._open.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target, limit=CHUNK)
            self._writers.add(back)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(reader, back))
                    both.create_task(self._pass_on(there, writer))
            finally:
                self._writers.discard(back)
                back.transport.abort()
        except (OSError, ExceptionGroup):
            pass  # one side went: so does the other
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
            if self.bytes_per_s:
                await asyncio.sleep(len(chunk) / self.bytes_per_s)
        raise ConnectionResetError  # so that the other direction ends too

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
