"""A TCP proxy between two processes that loses, delays and cuts what passes, each direction by itself."""

import asyncio
import threading

_PIECE = 64 << 10


class Link:
    """One way from a client to a server, through a proxy at `listen`; faults are set from any thread."""

    def __init__(self, network, listen, target):
        self._network, self.listen, self.target = network, listen, target
        self.delay = 0.0  # seconds, each direction
        self._open = {"requests": asyncio.Event(), "replies": asyncio.Event()}
        for gate in self._open.values():
            gate.set()
        self._connections = set()
        self._server = None

    @property
    def port(self):
        """The port that it listens on."""
        return self._server.sockets[0].getsockname()[1]

    async def start(self):
        self._server = await asyncio.start_server(self._serve, *self.listen)

    def block(self, *directions):
        """Let nothing pass in these directions, both where none is named; connections stay."""
        self._network.call(self._gate, directions or tuple(self._open), False)

    def heal(self):
        """Let everything pass again, what was held back too."""
        self.delay = 0.0
        self._network.call(self._gate, tuple(self._open), True)

    def cut(self):
        """Break all connections; new ones may be made."""
        self._network.call(self._cut)

    def _gate(self, directions, passing):
        for direction in directions:
            gate = self._open[direction]
            gate.set() if passing else gate.clear()

    def _cut(self):
        for writer in self._connections:
            writer.transport.abort()

    async def _serve(self, reader, writer):
        try:
            other_reader, other_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, other_writer}
        self._connections |= ends
        ways = (
            self._pump(reader, other_writer, "requests"),
            self._pump(other_reader, writer, "replies"),
        )
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._connections -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader, writer, direction):
        try:
            while piece := await reader.read(_PIECE):
                await self._open[direction].wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
        except OSError:
            return

    async def stop(self):
        self._server.close()
        self._cut()


class Network:
    """The proxies of one test, run by a thread of their own."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.links = {}

    def add(self, name, listen, target):
        """Start a link; `name` is who asks whom."""
        link = Link(self, listen, target)
        self.links[name] = link
        asyncio.run_coroutine_threadsafe(link.start(), self._loop).result(10)
        return link

    def call(self, function, *arguments):
        """Run something in the proxies' thread, and wait for it."""
        done = threading.Event()

        def run():
            function(*arguments)
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def heal(self):
        """Let everything pass."""
        for link in self.links.values():
            link.heal()

    def close(self):
        """Stop all links."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self):
        for link in self.links.values():
            await link.stop()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
