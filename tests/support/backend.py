"""The reference backend for tests: on real sockets, on both databases, with a clock that is moved."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import BindParameter, bindparam, text

from backend.app import create_app
from backend.client import OperatorClient
from backend.context import Context, Settings
from backend.database import create_schema, open_engine
from backend.quirks import Quirks
from backend.server import serve
from backend.tables import metadata
from tests.support.mariadb import MariaDbServer


class Clock:
    """The backend's time: stands still until a test moves it; a whole second, near the real time."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def wire(self, seconds: float = 0) -> str:
        """The time, so many seconds from now, as an agent writes it: naive, UTC."""
        return (self.moment + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


@dataclass(frozen=True)
class AgentApi:
    """The calls of one agent, as raw answers."""

    base_url: str
    agent_id: str
    token: str | None

    def get(self) -> requests.Response:
        return self._call("GET", "instances-to-terminate")

    def listed(self) -> list[dict[str, Any]]:
        answer = self.get()
        assert answer.status_code == 200, answer.text
        entries: list[dict[str, Any]] = answer.json()["instances"]
        return entries

    def ids(self) -> list[str]:
        return [entry["instance_id"] for entry in self.listed()]

    def report(self, body: object) -> requests.Response:
        return self._call("POST", "termination-report", json=body)

    def report_success(
        self, instance_id: str, terminated_at: str | None = None
    ) -> requests.Response:
        return self.report(
            {
                "instance_id": instance_id,
                "success": True,
                "error": None,
                "terminated_at": terminated_at,
            }
        )

    def report_failure(
        self, instance_id: str, error: str = "UnauthorizedOperation"
    ) -> requests.Response:
        return self.report(
            {"instance_id": instance_id, "success": False, "error": error, "terminated_at": None}
        )

    def clean_up(self, body: object) -> requests.Response:
        return self._call("POST", "cleanup-report", json=body)

    def raw(self, call: str, body: bytes) -> requests.Response:
        return self._call("POST", call, data=body)

    def _call(self, method: str, call: str, **arguments: Any) -> requests.Response:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return requests.request(
            method,
            f"{self.base_url}/api/agents/{self.agent_id}/{call}",
            headers=headers,
            timeout=30,
            **arguments,
        )


class SharedBackend:
    """A backend that serves one test after the other: to start and stop one takes 0.3 seconds."""

    def __init__(self, database_url: str, stack: ExitStack) -> None:
        self.database_url = database_url
        self._clock = Clock()
        self._engine = open_engine(database_url)
        stack.callback(self._engine.dispose)
        create_schema(self._engine)
        app = create_app(self._engine, Settings(now=self._now))
        self._context: Context = app.state.context
        self.url = stack.enter_context(serve(app))

    def _now(self) -> datetime:
        return self._clock()

    def start_over(self, clock: Clock) -> None:
        """Empty tables, no quirks, this clock: as if it had just been started."""
        self._clock = clock
        self._context.quirks = Quirks()
        with self._engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())


class SharedBackends:
    """The backends that run, by kind of database; each is started when it is first needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, SharedBackend] = {}

    def get(self, kind: str, database_url: Callable[[], str]) -> SharedBackend:
        if kind not in self._running:
            self._running[kind] = SharedBackend(database_url(), self._stack)
        return self._running[kind]


@pytest.fixture(scope="session")
def shared_backends() -> Iterator[SharedBackends]:
    with ExitStack() as stack:
        yield SharedBackends(stack)


def change_rows(database_url: str, statement: str, **values: object) -> None:
    """Change the database by hand, behind the backend's back."""
    engine = open_engine(database_url)
    with engine.begin() as connection:
        # Bound with their types: SQLite has none for times.
        typed: list[BindParameter[Any]] = [bindparam(name, value) for name, value in values.items()]
        connection.execute(text(statement).bindparams(*typed))
    engine.dispose()


@contextmanager
def table_missing(database_url: str, table: str) -> Iterator[None]:
    """A database in trouble while the block runs."""
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO away"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE away RENAME TO {table}"))
        engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


DATABASES = ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)]
on_sqlite = pytest.mark.parametrize("shared_backend", ["sqlite"], indirect=True)
"""For tests in which the database plays no part."""


@pytest.fixture(params=DATABASES)
def shared_backend(
    request: pytest.FixtureRequest,
    clock: Clock,
    shared_backends: SharedBackends,
    tmp_path_factory: pytest.TempPathFactory,
) -> SharedBackend:
    """A well-behaved, empty backend, on both databases in turn."""

    def database_url() -> str:
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'backend.db'}"
        server: MariaDbServer = request.getfixturevalue("mariadb_server")
        return server.fresh_database()

    shared = shared_backends.get(request.param, database_url)
    shared.start_over(clock)
    return shared


@pytest.fixture
def database_url(shared_backend: SharedBackend) -> str:
    """The database behind ``backend``, for tests that change it underneath."""
    return shared_backend.database_url


@pytest.fixture
def backend(shared_backend: SharedBackend) -> Iterator[OperatorClient]:
    """The operator's client of a well-behaved, empty backend, on both databases in turn."""
    with OperatorClient(shared_backend.url) as operator:
        yield operator


@pytest.fixture
def agent(backend: OperatorClient) -> AgentApi:
    """An agent of a client of its own, in us-east-1."""
    client = backend.create_client()
    return AgentApi(backend.base_url, backend.create_agent(client.client_id), client.token)
