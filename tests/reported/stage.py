"""One agent's function between the emulated account and the reference backend, for one report each."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from backend.app import create_app
from backend.client import OperatorClient
from backend.database import EMBEDDED, create_schema, open_engine
from backend.server import serve
from handler.termination import lambda_handler
from local.invoke import Invocation, invoke
from tools.ec2_emulator import Emulator

MANAGED = {"ManagedBy": "SpotOptimizer"}
TABLE, PARAMETER = "ledger", "/token"
_Message = MutableMapping[str, Any]
_Send = Callable[[_Message], Awaitable[None]]


class Busy:
    """Answers the next reports with 503 and headers of its own, as a gateway before the backend does."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: _Send) -> None:
        if not self.headers or not scope.get("path", "").endswith("/termination-report"):
            await self._app(scope, receive, send)
            return
        told = [(key.lower().encode(), value.encode()) for key, value in self.headers.pop().items()]
        await send({"type": "http.response.start", "status": 503, "headers": told})
        await send({"type": "http.response.body", "body": b"busy"})


@dataclass
class Stage:
    """What a scenario arranges and looks at."""

    aws: Emulator
    operator: OperatorClient
    busy: Busy
    agent_id: str
    token: str
    environment: dict[str, str] = field(default_factory=dict)

    def zombies(self, count: int = 1, **launch: Any) -> list[str]:
        """Live instances of ours that the backend has marked long enough ago."""
        given = {"tags": MANAGED, **launch}
        ids = [self.aws.fleet.launch(**given) for _ in range(count)]
        self.operator.add_zombies(self.agent_id, ids, age_seconds=400)
        return ids

    def run(self, **variables: str) -> Invocation:
        return invoke(lambda_handler, {**self.environment, **variables})

    def returned(self, **variables: str) -> dict[str, int]:
        """What a run's answer counts, without zeros and switches."""
        answer = self.run(**variables).returned
        return {key: value for key, value in answer.items() if type(value) is int and value}

    def reported(self, instance_id: str) -> list[str]:
        """The events that the backend holds of an instance, the oldest first."""
        events = self.operator.events(self.agent_id)
        return [
            each["event_type"] for each in reversed(events) if each["instance_id"] == instance_id
        ]

    @property
    def live(self) -> list[str]:
        return self.aws.fleet.live


@contextmanager
def stages(aws: Emulator) -> Iterator[Callable[[], Stage]]:
    """Makes stages on one backend and one emulator: each begins with an empty account."""
    engine = open_engine(EMBEDDED)
    create_schema(engine)
    app = create_app(engine)
    busy = Busy(app)
    with serve(busy) as url, OperatorClient(url) as operator:  # type: ignore[arg-type]  # an ASGI app
        numbers = iter(range(10_000))

        def make() -> Stage:
            aws.reset(seed=next(numbers))  # so no stage meets another one's ids
            aws.tables.create(TABLE)
            busy.headers.clear()
            client = operator.create_client()
            aws.parameters[PARAMETER] = client.token
            agent_id = operator.create_agent(client.client_id)
            stage = Stage(aws, operator, busy, agent_id, client.token)
            stage.environment = {
                **aws.environment,
                "AGENT_ID": agent_id,
                "SERVER_URL": url,
                "CLIENT_TOKEN_PARAMETER": PARAMETER,
                "IDEMPOTENCY_TABLE": TABLE,
            }
            return stage

        yield make
    engine.dispose()
