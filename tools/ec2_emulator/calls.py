"""What was asked of the emulator, and what became of it: for assertions and counts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PENDING = "pending"
OK = "ok"


@dataclass(slots=True)
class Call:
    """One HTTP request; botocore's own retries are calls of their own."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    at: float
    request_id: str
    outcome: str = PENDING  # "ok", an error's code, or the fault that swallowed the answer
    effect: bool = False  # whether the operation ran and succeeded, whatever the client was told


class CallLog:
    """All calls since the last reset, in order of arrival."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        self._calls.append(call)

    def of(self, operation: str, outcome: str | None = None) -> list[Call]:
        return [
            call
            for call in list(self._calls)
            if call.operation == operation and outcome in {None, call.outcome}
        ]

    def count(self, operation: str, outcome: str | None = None) -> int:
        return len(self.of(operation, outcome))

    def clear(self) -> None:
        self._calls.clear()

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: int) -> Call:
        return self._calls[index]
