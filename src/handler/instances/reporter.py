"""Tells the backend what became of each machine: while EC2 is still asked, and a success once per window.

    the run ── results ─▶ clerk ── jobs ──▶ posters, BACKEND_CONCURRENCY threads
       ▲                  │   ◀─ answers ──┘
       └──── settled ─────┘ claims before, and keeps afterwards, in groups: the idempotency table

They hand on to each other through queues and share no state, so a slow table holds up neither the
run nor what is claimed already. A run that dies between an acknowledgement and its record costs a
repeated report: of those acknowledged since the last group was kept, `KEEP_AFTER` seconds ago at most
while the table answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from handler.backend.errors import BackendError
from handler.instances.outcome import (
    Denied,
    Ended,
    Left,
    Outcome,
    Result,
    Settled,
    settled_as,
    unreported,
)
from handler.instances.ports import Backend, Claim, Table
from handler.instances.posters import LATE, LEAST, Answer, Job, Posters

if TYPE_CHECKING:
    from handler.deadline import Deadline
    from handler.instances.model import Agent

GROUP = 100
"""Claims, or acknowledgements, that the table is told of at once (DynamoDB, TransactWriteItems)."""
KEEP_AFTER = 0.5
"""Seconds that an acknowledgement waits for others, to be kept together with them."""
PAUSES = (2.0, 6.0)
"""Seconds before a success report that was not acknowledged is made again, after all others had
their turn: the original backend commits row and event separately, so what it answered with 500 may
never be listed again (contract section 1, quirk 8). A lost failure report is made by the next run."""
PASSING = frozenset({408, 425, 429})
"""Refusals that may be over at the next try; any other from 300 to 499 will be the same."""


class Reporter:
    """The reporting part of one run; everything that is submitted comes back settled, once.

    What is not settled when the run's time is over is neither kept nor given back afterwards: its
    claim ends with the run, and the next run reports it, and counts it.

    Args:
        backend_of: the backend as an agent reports to it; called by several threads.
        table: the idempotency table, which raises nothing; not asked for where nothing succeeded.
        deadline: a report is not begun when its answer would come after the time to report.
        at_once: reports under way at once (`BACKEND_CONCURRENCY`).
        done: called with each machine once its outcome is final, by the caller's own thread.
        dry_run: nothing is reported.
        sleep: waits for so many seconds before lost reports are made again.
    """

    def __init__(
        self,
        backend_of: Callable[[Agent], Backend],
        table: Callable[[], Table],
        deadline: Deadline,
        at_once: int,
        done: Callable[[Settled], None],
        *,
        dry_run: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table, self._deadline, self._done = table, deadline, done
        self._dry_run, self._sleep = dry_run, sleep
        # The run's own: what is not settled yet, and what is.
        self._open: dict[str, Ended | Denied] = {}
        self._finished: list[Settled] = []
        self._at_work = False
        # Between the threads.
        self._inbox: SimpleQueue[tuple[Callable[[Any], None], Any]] = SimpleQueue()
        self._posters = Posters(
            backend_of, deadline, at_once, lambda answer: self._inbox.put((self._answered, answer))
        )
        self._settled: SimpleQueue[Settled | None] = SimpleQueue()
        self._listening, self._over = Lock(), False
        # The clerk's own.
        self._unclaimed: list[Job] = []
        self._failures: list[Job] = []
        self._lost: list[Job] = []
        self._given_up: list[str] = []
        self._acknowledged: list[str] = []
        self._kept_at = 0.0
        self._in_hand = 0
        self._closed = False

    def submit(self, results: Iterable[Result]) -> None:
        """Begin to report these; may be called as often as there are results."""
        jobs = []
        for one in results:
            if isinstance(one, Left):
                self._finish(settled_as(one, one.outcome, one.why))
            elif self._dry_run:
                outcome = one.outcome if isinstance(one, Denied) else Outcome.DEFERRED
                self._finish(settled_as(one, outcome, one.why))
            else:
                self._open[one.marked.instance_id] = one
                jobs.append(Job(one))
        if any(isinstance(job.result, Ended) for job in jobs):
            self._table()  # made here: boto3's sessions are not for several threads
        if jobs:
            self._inbox.put((self._take, jobs))
            if not self._at_work:
                self._at_work = True
                Thread(target=self._clerk, daemon=True).start()
        while not self._settled.empty():
            self._hear(self._settled.get())

    def finish(self) -> list[Settled]:
        """Wait for the answers within the run's time; all that was submitted, each with its outcome."""
        if self._at_work:
            self._inbox.put((self._close, None))
            while self._at_work:
                self._hear(self._next_settled())
        for one in list(self._open.values()):
            self._finish(unreported(one, LATE))
        return self._finished

    def _next_settled(self) -> Settled | None:
        """None when there are no more, or none within the time."""
        try:
            return self._settled.get(timeout=max(self._deadline.to_report(), 0.001))
        except Empty:
            with self._listening:
                self._over = True
            return None if self._settled.empty() else self._settled.get()

    def _hear(self, settled: Settled | None) -> None:
        if settled is None:
            self._at_work = False
        else:
            self._finish(settled)

    def _finish(self, settled: Settled) -> None:
        self._open.pop(settled.marked.instance_id, None)
        self._finished.append(settled)
        self._done(settled)

    # ---- the clerk's thread ----

    def _clerk(self) -> None:
        try:
            while self._more_to_do():
                self._listen()
                self._claim()
                self._keep()
            self._keep(all_of_them=True)
            if self._given_up and not self._over:  # else the next run may have claimed them by now
                self._table().release(self._given_up)
        finally:  # whatever happens, the run does not wait for nothing, and no thread stays
            self._settled.put(None)
            self._posters.end()

    def _more_to_do(self) -> bool:
        """Whether there is; what was lost is handed out again when nothing else is left."""
        if not self._closed or self._in_hand or self._unclaimed or self._failures:
            return True
        again, self._lost = self._lost, []
        if again:
            self._keep(all_of_them=True)
            if self._deadline.to_report() > (pause := PAUSES[again[0].again]) + LEAST:
                self._sleep(pause)
        for job in again:
            job.again += 1
            self._hand(job, 1 + job.again)
        return bool(again)

    def _listen(self) -> None:
        wait = 0.0 if self._unclaimed else KEEP_AFTER if self._acknowledged else None
        try:
            act, given = self._inbox.get(timeout=wait)
        except Empty:
            return
        act(given)
        for _ in range(self._inbox.qsize()):
            act, given = self._inbox.get()
            act(given)

    def _take(self, jobs: list[Job]) -> None:
        self._unclaimed += [job for job in jobs if isinstance(job.result, Ended)]
        self._failures += [job for job in jobs if isinstance(job.result, Denied)]

    def _close(self, _: None) -> None:
        self._closed = True

    def _claim(self) -> None:
        """Claim the next group of successes, and hand out what is free."""
        group, self._unclaimed = self._unclaimed[:GROUP], self._unclaimed[GROUP:]
        if group and self._posters.late():
            for job in group:  # no claim for what is not sent any more
                self._settle(unreported(job.result, LATE))
        elif group:
            claims = self._table().claim([job.instance_id for job in group])
            for job in group:
                self._claimed(job, claims.get(job.instance_id, Claim.FREE))
        if (
            not self._unclaimed
        ):  # what a lost failure report would say is found again by the next run
            for job in self._failures:
                self._hand(job, 1)
            self._failures.clear()

    def _claimed(self, job: Job, claim: Claim) -> None:
        one = job.result
        if claim is Claim.REPORTED:
            why = f"{one.why}; success was reported before"
            self._settle(settled_as(one, Outcome.REPLAYED, why))
        elif claim is Claim.UNDER_WAY:
            why = f"{one.why}; another run is reporting it"
            self._settle(settled_as(one, Outcome.DEFERRED, why))
        else:
            self._hand(job, 0)

    def _hand(self, job: Job, turn: int) -> None:
        self._in_hand += 1
        self._posters.hand(job, turn)

    def _answered(self, answer: Answer) -> None:
        job, trouble = answer.job, answer.trouble
        self._in_hand -= 1
        one = job.result
        if trouble is None:
            outcome = one.outcome if isinstance(one, Denied) else one.acknowledged
            if self._settle(settled_as(one, outcome, one.why)) and isinstance(one, Ended):
                self._acknowledged.append(job.instance_id)
        elif (
            isinstance(one, Ended)
            and answer.begun
            and job.again < len(PAUSES)
            and _may_pass(trouble)
        ):
            self._lost.append(job)
        else:
            # What is no error of the backend's may say anything, the token too.
            said = str(trouble) if isinstance(trouble, BackendError) else type(trouble).__name__
            if self._settle(unreported(one, said)) and isinstance(one, Ended):
                self._given_up.append(job.instance_id)

    def _keep(self, *, all_of_them: bool = False) -> None:
        """Have the table remember acknowledgements: a full group, or when it is time."""
        kept, now = self._acknowledged, time.monotonic()
        if len(kept) >= GROUP or all_of_them or now - self._kept_at >= KEEP_AFTER:
            self._acknowledged, self._kept_at = [], now
            if kept:
                self._table().acknowledged(kept)

    def _settle(self, settled: Settled) -> bool:
        """Tell the run, unless it has stopped listening."""
        with self._listening:
            if not self._over:
                self._settled.put(settled)
            return not self._over


def _may_pass(trouble: Exception) -> bool:
    """Whether a report may be acknowledged at a later try of the same run."""
    status = getattr(trouble, "status", None)
    return status is None or status in PASSING or not 300 <= status < 500
