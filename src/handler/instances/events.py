"""An event for each agent whose machines a run acted on, for whoever listens on an EventBridge bus.

Source and detail-type are fixed; the detail's shape is versioned (docs/events.md). Sent after the
reports and within the run's time: its failure harms no run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from handler import redact
from handler.aws import error_codes
from handler.deadline import LateError, in_time
from handler.instances.outcome import Outcome, Settled

if TYPE_CHECKING:
    from handler.deadline import Deadline

SOURCE, DETAIL_TYPE, SHAPE = "spot-optimizer.cleanup", "Spot Cleanup Run", "1"
ACTED = frozenset(
    {Outcome.TERMINATED, Outcome.ALREADY_GONE, Outcome.PENDING, Outcome.REFUSED, Outcome.FAILED,
     Outcome.UNREPORTED}
)  # fmt: skip
"""Outcomes that somebody may want to hear of."""
MACHINES = 100
"""Machines of one event at most."""
BYTES = 240_000
"""Bytes of one event's machines at most, as they are sent; a call may hold 256 KB (EventBridge API,
PutEvents; it takes more by now, its readers may not)."""
_Machine: TypeAlias = dict[str, str | None]
SPARE = 1.0
"""Seconds of the time to account that the events may take."""


class RunEvents:
    """Where a run's events go.

    Args:
        client: makes the EventBridge client, the first time it is needed.
        bus: the bus's name or ARN; empty: none is sent.
        deadline: the run's time.
        warn: told why events were not delivered.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        bus: str | None,
        deadline: Deadline,
        warn: Callable[[str], None],
    ) -> None:
        self._client, self._bus, self._deadline, self._warn = client, bus, deadline, warn

    def tell(self, settled: Sequence[Settled]) -> None:
        """Send what was acted on, agent by agent; raises nothing."""
        details = list(events_of(settled)) if self._bus else []
        entries = [
            {
                "EventBusName": self._bus,
                "Source": SOURCE,
                "DetailType": DETAIL_TYPE,
                "Detail": redact.dumps(detail),
            }
            for detail in details
        ]
        for entry in entries:
            if (trouble := self._put([entry])) is not None:
                self._warn(trouble)
                return

    def _put(self, entries: list[dict[str, Any]]) -> str | None:
        try:
            answer = in_time(
                lambda: self._client().put_events(Entries=entries),
                lambda: self._deadline.to_report() + SPARE,
            )
        except LateError:
            return "the run's time was up"
        except error_codes.SDK_ERRORS as error:
            return str(error_codes.read(error))
        failed = [one for one in answer.get("Entries", entries) if "EventId" not in one]
        return f"{len(failed)} were not taken: {failed[0].get('ErrorCode')}" if failed else None


def events_of(settled: Sequence[Settled]) -> Iterator[dict[str, Any]]:
    """The details: of each agent as many as it takes for the machines that were acted on."""
    by_agent: dict[str, list[Settled]] = {}
    for one in settled:
        if one.outcome in ACTED:
            by_agent.setdefault(one.marked.agent.agent_id, []).append(one)
    for agent_id, ones in by_agent.items():
        counts = Counter(one.outcome.key for one in ones)
        parts = list(_parts(map(_machine, ones)))
        for number, part in enumerate(parts, start=1):
            yield {
                "shape": SHAPE,
                "agent_id": agent_id,
                "counts": dict(counts),
                "part": number,
                "parts": len(parts),
                "machines": part,
            }


def _parts(machines: Iterable[_Machine]) -> Iterator[list[_Machine]]:
    part: list[_Machine] = []
    size = 0
    for one in machines:
        length = (
            len(redact.dumps(one)) + 1
        )  # ASCII: what is not is escaped, with up to 12 characters
        if part and (len(part) == MACHINES or size + length > BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += length
    if part:
        yield part


def _machine(one: Settled) -> _Machine:
    return {
        "instance_id": one.marked.instance_id,
        "outcome": one.outcome.key,
        "reason": one.marked.reason,
        "why": one.why[:200],
        "error_code": one.trace.error_code,
    }
