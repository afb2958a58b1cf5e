"""The examination, from the settings to the last run; it looks and tries, and changes nothing.

A check goes on after another has failed wherever it does not depend on it: at night the second
fault should not have to wait for the first one's cure.

A new check is a function in the file of the thing that it examines, and its name in `PARTS`.
"""

from __future__ import annotations

from collections.abc import Sequence

from handler.doctor import backend, clock, ec2, marked, runs, schedule, settings, table, token
from handler.doctor.dependencies import Dependencies, Part
from handler.doctor.findings import Check, Finding, Status, depends, failed, skipped

PARTS: tuple[Part, ...] = (
    token.examine,
    backend.examine,
    settings.auto_terminate,
    settings.dry_run,
    clock.examine,
    ec2.describe,
    ec2.terminate,
    ec2.spot_requests,
    marked.examine,
    table.examine,
    schedule.examine,
    runs.last_run,
    runs.last_hour,
)
"""In the order in which they are examined and told."""
CHECKS: tuple[Check, ...] = (settings.SETTINGS, *(one for part in PARTS for one in part.checks))


def examine(
    subject: Dependencies | None, bad_settings: str | None, parts: Sequence[Part] = PARTS
) -> tuple[Finding, ...]:
    """Every check, in order.

    Args:
        subject: what is examined; None where not even a region is known.
        bad_settings: what is wrong with the settings, or None.
        parts: what is examined of it, besides the settings.
    """
    agents = subject.settings.agents if subject is not None and bad_settings is None else ()
    findings = [settings.judge(bad_settings, agents)]
    for part in parts:
        blocked = _blocked(part, findings)
        if subject is None or (part.needs_settings and bad_settings is not None):
            blocked = settings.SETTINGS
        if subject is None or blocked is not None:
            findings += [depends(one, blocked or settings.SETTINGS) for one in part.checks]
        elif subject.local and part.not_local is not None:
            findings += [skipped(one, part.not_local) for one in part.checks]
        else:
            findings += _examined(part, subject)
    return tuple(findings)


def _examined(part: Part, subject: Dependencies) -> list[Finding]:
    """One part's trouble must not hide the others. Its message may hold a secret, its name does not."""
    try:
        return list(part.examine(subject))
    except Exception as error:  # noqa: BLE001 - whatever it is
        found = f"{type(error).__name__}: it could not be examined"
        cause, cure = "the doctor itself failed here", "invoke it again; if it stays so, report it"
        return [failed(one, found, cause, cure) for one in part.checks]


def _blocked(part: Part, findings: Sequence[Finding]) -> Check | None:
    failures = {one.check for one in findings if one.status is Status.FAILED}
    return next((one for one in part.needs if one in failures), None)
