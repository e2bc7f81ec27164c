"""What the status page is measured beside: servers of events under gevent and under aiohttp, as they document it.

`python -m benchmarks.page_peers NAME PORT` tells each line of its standard input to everybody who has `/events` open.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}


def frame(number: int, line: str) -> bytes:
    return f'id: {number}\nevent: sent\ndata: {{"body":"{line.strip()}"}}\n\n'.encode()


def with_gevent(port: int) -> None:
    from gevent import fileobject, pywsgi, queue, spawn

    tabs: set[Any] = set()

    def events(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(_HEADERS.items()))
        own = queue.Queue()
        tabs.add(own)
        try:
            yield b": welcome\n\n"
            while True:
                yield own.get()
        finally:
            tabs.discard(own)

    def tell() -> None:
        lines = fileobject.FileObject(sys.stdin)
        for number in itertools.count(1):
            line = lines.readline()
            if not line:
                sys.exit()
            data = frame(number, line)
            for tab in list(tabs):
                tab.put(data)

    spawn(tell)
    pywsgi.WSGIServer(("127.0.0.1", port), events, log=None).serve_forever()


def with_aiohttp(port: int) -> None:
    import asyncio

    from aiohttp import web

    tabs: set[asyncio.Queue[bytes]] = set()

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        own: asyncio.Queue[bytes] = asyncio.Queue()
        tabs.add(own)
        try:
            await response.write(b": welcome\n\n")
            while True:
                await response.write(await own.get())
        finally:
            tabs.discard(own)

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/events", events)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        number = 0
        while line := await reader.readline():
            number += 1
            data = frame(number, line.decode())
            for tab in tabs:
                tab.put_nowait(data)

    asyncio.run(serve())


if __name__ == "__main__":
    {"gevent": with_gevent, "aiohttp": with_aiohttp}[sys.argv[1]](int(sys.argv[2]))
