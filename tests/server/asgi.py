"""Reading an ASGI app in the test's own process, endless streams included."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def client_of(app, root_path: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://twin.test")


def ask(app, path: str, method: str = "GET", root_path: str = "", **kwargs) -> httpx.Response:
    """One request of the app, for tests that need no more."""

    async def once() -> httpx.Response:
        async with client_of(app, root_path) as client:
            return await client.request(method, path, **kwargs)

    return asyncio.run(once())


def scope_of(path: str, headers: dict[str, str] | None = None, query: str = "", method: str = "GET") -> dict:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
        "server": ("twin.test", 80),
    }


async def raw(app, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
    """One request with exactly these headers: httpx decodes bodies and adds headers of its own, this does not."""
    answer = Answer()

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope_of(path, headers, method=method), receive, send)
    return answer


class Stream:
    """An open event stream: read(n) waits for the next n events."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.started = asyncio.Event()
        self.gone = asyncio.Event()
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.text = ""

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            self.started.set()
        elif message.get("body"):
            await self.chunks.put(message["body"])

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def blocks(self, count: int, timeout: float = 5.0) -> list[str]:
        async with asyncio.timeout(timeout):
            while self.text.count("\n\n") < count:
                self.text += (await self.chunks.get()).decode()
        *whole, rest = self.text.split("\n\n", count)
        self.text = rest
        return whole

    async def read(self, count: int, timeout: float = 5.0) -> list[dict[str, str]]:
        events: list[dict[str, str]] = []
        while len(events) < count:
            block = (await self.blocks(1, timeout))[0]
            fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
            if "data" in fields:
                events.append(fields)
        return events


@asynccontextmanager
async def listening(app, path: str = "/live/events", headers: dict[str, str] | None = None, query: str = ""):
    """The app's event stream, left as a client leaves that closes its window."""
    stream = Stream()
    task = asyncio.create_task(app(scope_of(path, headers, query), stream.receive, stream.send))
    async with asyncio.timeout(5):
        await stream.started.wait()
    yield stream
    stream.gone.set()
    async with asyncio.timeout(5):
        await task


@asynccontextmanager
async def running(app):
    """The app between its lifespan's start and its end."""
    inbox: asyncio.Queue[dict] = asyncio.Queue()
    outbox: asyncio.Queue[dict] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.create_task(app(scope, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    started = await asyncio.wait_for(outbox.get(), 10)
    assert started["type"] == "lifespan.startup.complete", started
    yield app
    await inbox.put({"type": "lifespan.shutdown"})
    stopped = await asyncio.wait_for(outbox.get(), 10)
    assert stopped["type"] == "lifespan.shutdown.complete", stopped
    await task
