"""Plays answers over the wire: a server that says what it was given, whatever it is asked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config

from tests.facts.fact import Fact, Refusal
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.protocol import wire
from tools.ec2_emulator.router import Answer
from tools.ec2_emulator.server import Server


class Player:
    """A server for many facts; `play` sets what it says from now, the last answer again and again."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self._server = Server(self._respond)
        self._clients: dict[str, Any] = {}

    def close(self) -> None:
        self._server.close()

    def client(self, service: str) -> Any:
        """A boto3 client of the server, without retries; made once each, for it is dear."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self._server.url,
                region_name="us-east-1",
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[service]

    def play(self, fact: Fact, before: Sequence[Mapping[str, Any]] = ()) -> None:
        """Say these answers of the fact's own call first, then the fact's for ever."""
        service, operation = fact.call.split(".")
        spoken = wire(service)
        self._answers = [
            Answer(200, spoken.content_type, "r", spoken.answer(operation, one, "r"))
            for one in before
        ]
        if isinstance(fact.answer, str):
            body = fact.answer.encode()
        elif isinstance(fact.answer, Refusal):
            told = fact.answer
            error = AwsError(told.code, told.message, status=fact.status, extra=told.extra)
            body = spoken.error(error, "r")
        else:
            body = spoken.answer(operation, fact.answer, "r")
        self._answers.append(Answer(fact.status, spoken.content_type, "r", body))

    def _respond(self, headers: Mapping[str, str], body: bytes) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@contextmanager
def running() -> Iterator[Player]:
    """A player while the block runs."""
    player = Player()
    try:
        yield player
    finally:
        player.close()
