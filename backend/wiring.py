"""What the routes have in common: the context, the bearer token, the calling agent, answers."""

import json
import secrets
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from backend import service
from backend.context import Context
from backend.errors import ApiError


def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)  # noqa: S101  # create_app put it there
    return context


Shared = Annotated[Context, Depends(_context)]


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


Token = Annotated[str | None, Depends(_bearer)]


def _calling_agent(context: Shared, token: Token, agent_id: str) -> service.Agent:
    with context.transaction() as connection:
        return service.authenticate(connection, token, agent_id)


CallingAgent = Annotated[service.Agent, Depends(_calling_agent)]


def _reporting_agent(context: Shared, token: Token, agent_id: str) -> service.Agent:
    strangers = context.quirks.strangers_report
    with context.transaction() as connection:
        return service.authenticate(connection, token, agent_id, strangers=strangers)


ReportingAgent = Annotated[service.Agent, Depends(_reporting_agent)]


async def _raw_body(request: Request) -> bytes:
    return await request.body()


#: Read after the token was checked, so that a stranger is told 401 whatever the body.
RawBody = Annotated[bytes, Depends(_raw_body)]


def operator_only(context: Shared, token: Token) -> None:
    """Let an operator in: anyone, unless an operator token is set."""
    expected = context.settings.operator_token
    if expected is not None and not secrets.compare_digest(
        (token or "").encode(), expected.encode()
    ):
        raise ApiError(401, "Invalid operator token")


class Answer(JSONResponse):
    """JSON as it is, without a model's detour: a list may hold 100,000 entries."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401  # as Starlette declares it
        """Dump, with times in ISO 8601."""
        return json.dumps(content, separators=(",", ":"), default=_plain).encode()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")
