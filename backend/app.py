"""The application: the routes, and how each kind of trouble is answered (contract quirk 7)."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from backend import agent_api, operator_api
from backend.context import Context, Settings
from backend.errors import ApiError
from backend.faults import Faults
from backend.wiring import Answer, Shared

logger = logging.getLogger(__name__)


def create_app(engine: Engine, settings: Settings | None = None) -> FastAPI:
    """A backend on this engine, whose schema must be there (``database.create_schema``)."""
    settings = settings or Settings()
    context = Context(engine, settings, settings.quirks)
    app = FastAPI(title="Reference backend")
    app.state.context = context
    app.add_middleware(Faults, context=context)
    app.include_router(agent_api.router)
    app.include_router(operator_api.router)
    app.add_api_route("/health", health)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_body)
    app.add_exception_handler(ValidationError, _bad_body)
    app.add_exception_handler(IntegrityError, _conflict)
    app.add_exception_handler(DBAPIError, _database_trouble)
    app.add_exception_handler(PoolTimeoutError, _database_trouble)
    app.add_exception_handler(Exception, _bug)
    return app


def health(context: Shared) -> Answer:
    """Whether the database answers."""
    with context.transaction() as connection:
        connection.execute(text("SELECT 1"))
    return Answer({"status": "ok", "database": context.engine.dialect.name})


def _refused(_request: Request, error: Exception) -> Answer:
    assert isinstance(error, ApiError)  # noqa: S101  # as registered above; so below
    return Answer({"error": error.message}, error.status)


def _http_error(_request: Request, error: Exception) -> Answer:
    assert isinstance(error, HTTPException)  # noqa: S101
    return Answer({"error": error.detail}, error.status_code, error.headers)


def _bad_body(_request: Request, error: Exception) -> Answer:
    """422, naming each bad field."""
    assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101
    problems = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in error.errors()
    ]
    return Answer({"error": "; ".join(problems)}, 422)


def _conflict(_request: Request, error: Exception) -> Answer:
    logger.warning("refused by the database: %s", error)
    return Answer({"error": "The database refused it: it exists, or what it needs does not"}, 409)


def _database_trouble(_request: Request, error: Exception) -> Answer:
    """500; the log has the driver's words, which may name hosts and users."""
    logger.error("database trouble: %s", error)
    return Answer({"error": f"Database trouble: {type(error).__name__}"}, 500)


def _bug(_request: Request, _error: Exception) -> Answer:
    return Answer({"error": "Internal server error"}, 500)
