"""Forced trouble on the agents' calls: the quirks 7 and 8, and latency."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.context import Context
from backend.wiring import Answer


class Faults:
    """Stands before the routes under ``/api/``; without quirks it only counts."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._under_way = 0  # touched by the event loop alone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 500 where a quirk says so, else pass on."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        self._under_way += 1
        try:
            quirks = self._context.quirks
            error = None
            if quirks.database_down:
                error = "2003 (HY000): Can't connect to MySQL server (111)"
            elif quirks.pool_limit and self._under_way > quirks.pool_limit:
                error = "Failed getting connection; pool exhausted"
            elif quirks.latency_seconds:
                await asyncio.sleep(quirks.latency_seconds)
            app = self._app if error is None else Answer({"error": error}, 500)
            await app(scope, receive, send)
        finally:
            self._under_way -= 1
