"""The examination, from the settings to the last run; it looks and tries, and changes nothing.

A check goes on after another has failed wherever it does not depend on it: at night the second
fault should not have to wait for the first one's cure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import Patience
from handler.deadline import Deadline
from handler.doctor import judge_aws as aws
from handler.doctor import judge_backend as backend
from handler.doctor.findings import (
    Check,
    Diagnosis,
    Finding,
    Status,
    depends,
    failed,
    ok,
    skipped,
)
from handler.doctor.marked import foresee, judge_marked
from handler.doctor.ports import (
    Answered,
    Barrier,
    Surroundings,
    TableTrouble,
    ToExamine,
    TokenFault,
    TokenTrouble,
    Unreached,
)
from handler.doctor.recent_runs import Schedule, look_back
from handler.instances.decide import Judge
from handler.instances.guard import Policy
from handler.instances.model import Listing
from handler.instances.run import Limits
from handler.timely import LateError, in_time

T = TypeVar("T")

LONGEST_CHECK = 6.0
"""Seconds for one look at AWS: where nothing answers, all of them together fit into an invocation."""
LATE = AwsError("NoAnswer", f"no answer within {LONGEST_CHECK:.0f} s", ErrorKind.NO_ANSWER)


@dataclass(frozen=True, slots=True)
class Orders:
    """What the settings say, as far as it is examined."""

    patient: str
    policy: Policy
    limits: Limits
    token_parameter: str
    token_given: bool
    table: str
    schedule_name: str | None


@dataclass(frozen=True, slots=True)
class Doctor:
    """One examination's time: the deadline, the clock (UTC), and a way to wait."""

    deadline: Deadline
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    def examine(self, subject: ToExamine, orders: Orders) -> Diagnosis:
        """Every check, in the order in which it is told."""
        findings, listing = self._backend(subject, orders)
        findings += self._machines(subject, orders, listing)
        table = subject.table
        trouble: TableTrouble | AwsError | None = self._look(table.examine)
        findings.append(aws.judge_table(trouble, orders.table))
        findings += self._runs(subject, orders.schedule_name)
        settings = ok(Check.SETTINGS, "every variable is good")
        return Diagnosis(orders.patient, (settings, *findings))

    def examine_without_settings(
        self, error: str, surroundings: Surroundings | None, schedule_name: str | None
    ) -> Diagnosis:
        """The settings are bad: only what starts the function does not depend on them."""
        settings = failed(
            Check.SETTINGS,
            error,
            "the function stops at every event until each of these variables is good",
            "correct the stack's parameters of the same names, and deploy; a variable that was edited by "
            "hand has to be put right by hand, since a deploy touches only what the template changed",
        )
        independent = {Check.SCHEDULE, Check.LAST_RUN} if surroundings else set[Check]()
        rest = [
            depends(one, Check.SETTINGS)
            for one in Check
            if one is not Check.SETTINGS and one not in independent
        ]
        runs = self._runs(surroundings, schedule_name) if surroundings else []
        return Diagnosis("spot-cleanup", (settings, *rest, *runs))

    def _backend(self, subject: ToExamine, orders: Orders) -> tuple[list[Finding], Listing | None]:
        """The token, the way to the backend, what it says, and its clock."""
        trouble = None if orders.token_given else self._token(subject)
        token = backend.judge_token(trouble, orders.token_parameter, given=orders.token_given)
        answer = self._ask(subject, anonymously=trouble is not None)
        way = backend.judge_way(subject.backend, answer)
        blocked = _first_failed([*way, token])
        listing = answer.listing if isinstance(answer, Answered) and not blocked else None
        findings = [
            token,
            *way,
            *backend.judge_list(answer, blocked),
            *backend.judge_switches(
                listing,
                enabled=orders.limits.auto_terminate_enabled,
                dry_run=orders.policy.dry_run,
            ),
            backend.judge_clock(answer),
        ]
        return findings, listing

    def _token(self, subject: ToExamine) -> TokenTrouble | None:
        try:
            return in_time(subject.token.read, self._left)
        except LateError:
            return TokenTrouble(TokenFault.OTHER, str(LATE), LATE)
        except Exception as error:  # noqa: BLE001 - as in `_look`
            trouble = _unforeseen(error)
            return TokenTrouble(TokenFault.OTHER, str(trouble), trouble)

    def _ask(self, subject: ToExamine, *, anonymously: bool) -> Answered | Unreached:
        probe = subject.backend
        try:
            return in_time(lambda: probe.ask(anonymously=anonymously), self.deadline.to_act)
        except LateError:
            return Unreached(Barrier.SILENCE, "no answer in the doctor's time")

    def _machines(
        self, subject: ToExamine, orders: Orders, listing: Listing | None
    ) -> list[Finding]:
        """What EC2 lets the function see and do, and what it would do with the list."""
        policy = orders.policy
        running = self._look(lambda: subject.machines.running(policy.required_tags))
        if isinstance(running, AwsError):
            describe = aws.describe_failed(running)
            dependent = (Check.EC2_TERMINATE, Check.SPOT, Check.MARKED)
            return [describe, *map(aws.without_describe, dependent)]
        marked = {one.instance_id for one in listing.marked} if listing else set[str]()
        tried = aws.pick(running, policy, marked)
        if tried is None:
            terminate = aws.nothing_to_try_on(policy)
        else:
            ids = [tried.instance_id]
            answer = self._look(lambda: subject.machines.terminate(ids, dry_run=True))
            terminate = aws.judge_dry_run(tried, answer, self._decoded(subject, answer))
        return [
            aws.judge_describe(running, policy),
            terminate,
            self._spot(subject, [one.spot_request for one in running if one.spot_request]),
            self._marked(subject, orders, listing),
        ]

    def _spot(self, subject: ToExamine, requests: list[str]) -> Finding:
        """Whether the requests that would bring an instance back can be cancelled before it ends."""
        machines = subject.machines
        standing = self._look(lambda: machines.standing_requests(requests))
        if isinstance(standing, AwsError):
            return aws.spot_requests_unknown(standing)
        if not standing:
            return aws.no_standing_request(len(requests))
        request = min(standing)
        answer = self._look(lambda: machines.cancel_requests([request], dry_run=True))
        return aws.judge_cancellation(request, answer, self._decoded(subject, answer))

    def _decoded(self, subject: ToExamine, answer: object) -> str | AwsError | None:
        """The reason of a denial, where this is one, in words."""
        if not isinstance(answer, AwsError) or not answer.denied:
            return None
        authorizations = subject.authorizations
        return self._look(lambda: authorizations.decode(answer))

    def _marked(self, subject: ToExamine, orders: Orders, listing: Listing | None) -> Finding:
        if listing is None:
            return depends(Check.MARKED, Check.LIST)
        patiently = Patience(self.deadline, self.sleep, tries=2)
        judge = Judge(lambda: subject.machines, orders.policy, patiently, self.clock)
        foreseen = foresee(judge, listing.marked, orders.limits)
        return judge_marked(listing, foreseen, orders.limits)

    def _runs(self, surroundings: Surroundings, name: str | None) -> list[Finding]:
        """What starts the function, and when it last ended well."""
        known: Schedule | None = None
        if name is None:
            schedule = skipped(
                Check.SCHEDULE,
                "SCHEDULE_NAME does not say which it is: the template sets it to group/name",
            )
        else:
            schedules = surroundings.schedules
            found = self._look(lambda: schedules.find(name))
            if not isinstance(found, AwsError):
                known = found or Schedule(enabled=False, expression="")
            schedule = aws.judge_schedule(found, name)
        runs, now = surroundings.runs, self.clock()
        minutes = self._look(lambda: runs.since(now - look_back(known), now))
        return [schedule, aws.judge_last_run(minutes, now, known)]

    def _look(self, call: Callable[[], T | AwsError]) -> T | AwsError:
        """Look at AWS, and do not wait for long; one check's trouble must not hide the others."""
        try:
            return in_time(call, self._left)
        except LateError:
            return LATE
        except Exception as error:  # noqa: BLE001 - such as the SDK's ValueError of a bad endpoint
            return _unforeseen(error)

    def _left(self) -> float:
        return min(LONGEST_CHECK, self.deadline.to_report())


def _unforeseen(error: Exception) -> AwsError:
    return AwsError(type(error).__name__, str(error), ErrorKind.REFUSED)


def _first_failed(findings: list[Finding]) -> Check | None:
    return next((one.check for one in findings if one.status is Status.FAILED), None)
