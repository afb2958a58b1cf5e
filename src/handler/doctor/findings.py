"""What the doctor finds: one finding a check, with the cause and the cure of what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

AGENTS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is examined: its name in the answer, and the question that it answers."""

    name: str
    question: str

    def __str__(self) -> str:
        return self.name


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, though perhaps not as somebody meant it to."""
    FAILED = "failed"
    """This keeps instances from being terminated, or their end from being known."""
    SKIPPED = "skipped"
    """Not examined, or not to be judged; what was found says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result; a failed one, and a warning, names the cause and the cure."""

    check: Check
    status: Status
    found: str
    cause: str = ""
    cure: str = ""

    def as_returned(self) -> dict[str, str]:
        """For the doctor's answer: every key, empty ones too."""
        return {
            "check": self.check.name,
            "status": self.status.value,
            "found": self.found,
            "cause": self.cause,
            "cure": self.cure,
        }


def ok(check: Check, found: str) -> Finding:
    """The check holds."""
    return Finding(check, Status.OK, found)


def warning(check: Check, found: str, cause: str, cure: str) -> Finding:
    """Something to know about."""
    return Finding(check, Status.WARNING, found, cause, cure)


def failed(check: Check, found: str, cause: str, cure: str) -> Finding:
    """Something to mend."""
    return Finding(check, Status.FAILED, found, cause, cure)


def skipped(check: Check, why: str, cure: str = "") -> Finding:
    """Not examined, or not to be judged."""
    return Finding(check, Status.SKIPPED, why, "", cure)


def depends(check: Check, on: Check) -> Finding:
    """Not examined, since it depends on a check that did not hold."""
    return skipped(check, f"it depends on {on}")


def grouped(by_agent: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """The agents' findings, check by check; those that are alike are one: `3 agents (a, b, c): ...`.

    Args:
        by_agent: agent id → its findings; every agent's are of the same checks in the same order.
    """
    if len(by_agent) == 1:
        return [finding for findings in by_agent.values() for finding in findings]
    told = []
    for of_one_check in zip(*by_agent.values(), strict=True):
        alike: dict[Finding, list[str]] = {}
        for agent_id, finding in zip(by_agent, of_one_check, strict=True):
            alike.setdefault(finding, []).append(agent_id)
        told += [
            replace(finding, found=f"{_agents(ids)}: {finding.found}")
            for finding, ids in alike.items()
        ]
    return told


def _agents(ids: Sequence[str]) -> str:
    if len(ids) == 1:
        return f"agent {ids[0]}"
    more = ", ..." if len(ids) > AGENTS_SHOWN else ""
    return f"{len(ids)} agents ({', '.join(ids[:AGENTS_SHOWN])}{more})"


@dataclass(frozen=True, slots=True)
class Findings:
    """All findings on one function.

    Args:
        subject: what was examined, for people.
        findings: in the order in which they are told.
    """

    subject: str
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """The checks that failed."""
        return self._with(Status.FAILED)

    @property
    def healthy(self) -> bool:
        """Whether no check failed; a warning, or a check that was skipped, is not an illness."""
        return not self.failures

    def as_returned(self) -> dict[str, object]:
        """The doctor's answer."""
        return {
            "healthy": self.healthy,
            "checks": [one.as_returned() for one in self.findings],
            "text": self.as_text(),
        }

    def as_text(self) -> str:
        """The same as lines for a person."""
        verdict = "healthy" if self.healthy else f"NOT healthy: {', '.join(self.failures)}"
        warned = self._with(Status.WARNING)
        see = f"; see also {', '.join(warned)}" if warned else ""
        lines = [f"{self.subject}: {verdict}{see}"]
        for one in self.findings:
            lines.append(f"{one.status.value:<8} {one.check.name:<24} {one.found}")
            lines += [
                f"{'':<9}{what}: {text}"
                for what, text in (("cause", one.cause), ("cure", one.cure))
                if text
            ]
        return "\n".join(lines)

    def _with(self, status: Status) -> tuple[str, ...]:
        """Each check once, in order."""
        return tuple(dict.fromkeys(one.check.name for one in self.findings if one.status is status))


def first_failed(findings: Iterable[Finding]) -> Check | None:
    """The first check that failed."""
    return next((one.check for one in findings if one.status is Status.FAILED), None)
