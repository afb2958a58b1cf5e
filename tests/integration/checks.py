"""What must hold after every run, whatever happened in it."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Collection

from local.invoke import Invocation

METRICS = {
    "listed": "InstancesListed",
    "terminated": "InstancesTerminated",
    "already_gone": "InstancesAlreadyGone",
    "planned": "TerminationsPlanned",
    "pending": "TerminationsPending",
    "replayed": "ReportsReplayed",
    "refused": "TerminationsRefused",
    "failed": "TerminationFailures",
    "unreported": "ReportFailures",
    "ignored": "InstancesIgnored",
    "deferred": "InstancesDeferred",
    "invalid": "InvalidEntries",
}
"""The contract's own table (section 2)."""
ONLY_WHERE_NOT_ZERO = {"agents_failed", "untagged"}


def counts(returned: dict[str, int | bool]) -> dict[str, int]:
    """What is not zero in a run's answer, its switches aside."""
    return {key: int(returned[key]) for key in METRICS if returned[key]}


def adds_up(invocation: Invocation) -> None:
    """The answer, the metrics and the audit trail of a run tell the same."""
    returned = invocation.returned
    assert set(returned) - ONLY_WHERE_NOT_ZERO == {*METRICS, "auto_terminate_enabled", "dry_run"}
    assert all(returned.get(key, 1) for key in ONLY_WHERE_NOT_ZERO)
    assert returned["listed"] == sum(returned[key] for key in METRICS if key != "listed")
    sent = {name: sum(invocation.metrics.get(name, [])) for name in METRICS.values()}
    more = [line for line in invocation.lines if line["message"] == "more entries invalid"]
    placeholders = sum(1 for line in invocation.lines if "placeholder" in str(line.get("why")))
    placeholders += sum(line["count"] for line in more if line["level"] == "INFO")
    owed = {name: returned[key] for key, name in METRICS.items()}
    owed["InvalidEntries"] -= placeholders
    quiet = returned["replayed"] + placeholders == returned["listed"]
    assert sent == (dict.fromkeys(owed, 0) if quiet else owed), "replays alone send nothing"
    assert all(values != [0.0] for values in invocation.metrics.values()), "a zero is not sent"
    assert len(invocation.metrics.get("TimeToTerminate", [])) <= returned["terminated"]
    audited = Counter(line["outcome"] for line in invocation.lines if "outcome" in line)
    audited["invalid"] += sum(line["count"] for line in more)
    assert +audited == {k: v for k, v in counts(returned).items() if k != "listed"}
    (summary,) = [line["summary"] for line in invocation.lines if "summary" in line]
    assert summary == returned
    for line in invocation.emf:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert [sorted(names) for names in directive["Dimensions"]] == [["service"]]
        # CloudWatch drops what is over either limit, in silence.
        assert len(directive["Metrics"]) <= 100
        assert all(len(line[metric["Name"]]) <= 100 for metric in directive["Metrics"])


def says_nothing_of(secrets: Collection[str], invocation: Invocation) -> None:
    """No token in what came back or was written."""
    written = json.dumps([invocation.returned, invocation.lines, invocation.emf])
    assert not any(secret in written for secret in secrets), "a token was written"


def hides(secrets: Collection[str], error: BaseException) -> None:
    """No token in an exception, its causes, or its traceback."""
    told = "".join(traceback.format_exception(error)) + repr(error)
    assert not any(secret in told for secret in secrets), "a token is in the exception"
