"""The idempotency table: what was reported, and proven, within the window (Powertools)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import (
    BasePersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
)

from handler.instances.ports import BackendError, Delivery

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger
    from aws_lambda_powertools.utilities.typing import LambdaContext

REMEMBERED_LOCALLY = 20_000
"""Acknowledged reports that an execution environment knows without asking the table: more than two
of the largest runs make, since Powertools' memory forgets the oldest in no thread-safe way."""


class _NotProven(Exception):  # noqa: N818 - not an error: it keeps Powertools from recording a no
    """The answer was no; only a yes is remembered."""


class IdempotencyTable:
    """Powertools' idempotency on one DynamoDB table, for the life of an execution environment.

    The unit is the acknowledged success report of one instance. A report that raises leaves no
    record, so the next run sends it again; an acknowledged one is not sent again in the window.
    """

    def __init__(self, store: BasePersistenceLayer, window_seconds: int) -> None:
        self.config = IdempotencyConfig(
            expires_after_seconds=window_seconds,
            use_local_cache=True,
            local_cache_max_items=REMEMBERED_LOCALLY,
        )
        # The prefixes are fixed, so that aliases and versions of the function share the records.
        once = idempotent_function(
            data_keyword_argument="subject", persistence_store=store, config=self.config
        )
        self.report: Callable[..., Any] = once(_report, key_prefix="success-report")
        self.prove: Callable[..., Any] = once(_prove, key_prefix="lived-here")

    def ledger(self, agent_id: str, context: LambdaContext, logger: Logger) -> AgentLedger:
        """The table as one run of one agent uses it; in-progress records end with the run."""
        self.config.register_lambda_context(context)
        return AgentLedger(self, agent_id, logger)


def _report(*, subject: dict[str, str], send: Callable[[], None]) -> dict[str, str]:
    send()
    return subject


def _prove(*, subject: dict[str, str], ask: Callable[[], bool]) -> dict[str, str]:
    if not ask():
        raise _NotProven
    return subject


@dataclass(slots=True)
class AgentLedger:
    """The port `Ledger`, and the memory of what was proven."""

    table: IdempotencyTable
    agent_id: str
    logger: Logger
    _down: bool = False

    def once(self, instance_id: str, send: Callable[[], None]) -> Delivery:
        """Send through Powertools; without the table, send all the same.

        While DynamoDB refuses or throttles, a report may be made, and counted, twice. The other
        way round, nothing would be reported as long as the table is down, and the backend and EC2
        would drift apart: that is worse.
        """
        if self._down:
            send()
            return Delivery.FIRST
        sent = False
        failure: BackendError | None = None

        def send_and_note() -> None:
            nonlocal sent, failure
            try:
                send()
            except BackendError as error:
                failure = error
                raise
            sent = True

        subject = {"agent_id": self.agent_id, "instance_id": instance_id}
        try:
            self.table.report(subject=subject, send=send_and_note)
        except IdempotencyAlreadyInProgressError:
            return Delivery.UNDER_WAY
        except (IdempotencyPersistenceLayerError, IdempotencyInconsistentStateError) as error:
            self._note_down(error)
            if failure is not None:
                raise failure from None
            if not sent:
                send()
            return Delivery.FIRST
        return Delivery.FIRST if sent else Delivery.REPLAYED

    def remember(self, instance_id: str, ask: Callable[[], bool]) -> bool:
        """Ask, unless the answer was yes within the window."""
        if self._down:
            return ask()
        subject = {"agent_id": self.agent_id, "instance_id": instance_id}
        try:
            self.table.prove(subject=subject, ask=ask)
        except _NotProven:
            return False
        except IdempotencyAlreadyInProgressError:
            return ask()
        except (IdempotencyPersistenceLayerError, IdempotencyInconsistentStateError) as error:
            self._note_down(error)
            return ask()
        return True

    def _note_down(self, error: Exception) -> None:
        """Ask a table that does not work once a run, not once a report."""
        if not self._down:
            self._down = True
            self.logger.warning(
                "idempotency table not usable: reports go on without it, and may be made twice",
                cause=str(error.__cause__ or error),
            )
