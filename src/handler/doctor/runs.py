"""Examines the function's runs, by their metrics: when one last ended well, and what the last hour's ended in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.doctor.advice import Advice, allow, aws_failed
from handler.doctor.dependencies import Dependencies, Schedule, examines
from handler.doctor.findings import Check, Finding, failed, ok, skipped, warning
from handler.doctor.schedule import LEAST_WINDOW, MINUTE, SCHEDULE, window_of

LAST_RUN = Check("last_run", "Did a run end well lately?")
LAST_HOUR = Check("last_hour", "Did the last hour's runs do what they were to do?")
HOUR = timedelta(hours=1)
READ = "cloudwatch:GetMetricData"
TOLD = {
    "InstancesListed": "listed",
    "InstancesTerminated": "terminated",
    "InstancesAlreadyGone": "already gone",
    "TerminationsPlanned": "planned",
    "TerminationsPending": "pending",
    "ReportsReplayed": "replayed",
    "InstancesIgnored": "ignored",
    "InstancesDeferred": "deferred",
    "InvalidEntries": "invalid",
}
"""Metrics of outcomes (contract section 2) that say nothing bad by themselves."""
WRONG = {
    "TerminationsRefused": (
        "refused",
        Advice(
            "a guard said no to a machine that is the function's own; it runs on, and every try is counted",
            "the log's lines with the outcome refused say why: mend the machine's tags, the settings, or the "
            "backend's row",
        ),
    ),
    "TerminationFailures": (
        "failed",
        Advice(
            "EC2 said no",
            "the log's lines with the outcome failed have EC2's error_code; for a permission see ec2_terminate",
        ),
    ),
    "ReportFailures": (
        "unreported",
        Advice(
            "machines ended, and the backend did not take the report",
            "see backend_reachable, and the backend's log; later runs report them",
        ),
    ),
    "InstancesUntagged": (
        "untagged",
        Advice(
            "listed machines lack a required tag or an owner: no run touches them, and they are paid for",
            "the log's lines with the outcome ignored name them: tag what is to go as RequiredTags says, or end "
            "it by hand",
        ),
    ),
    "InstancesOverdue": (
        "overdue",
        Advice(
            "a machine was listed long ago and has not ended, whatever the backend's clock says",
            "look up its lines in the log: the outcome and its reason are what keeps it",
        ),
    ),
    "LookUpFailures": (
        "look-ups failed",
        Advice(
            "AWS refused or did not answer a look-up: what could not be looked at was left alone",
            "see the checks on AWS; the log's lines with an error_code say what AWS said",
        ),
    ),
    "AgentsFailed": (
        "agents failed",
        Advice(
            "an agent's token or list could not be had: nothing was terminated for it",
            "see token, backend_reachable and what follows them; the log names the agent",
        ),
    ),
}
"""Metrics that somebody should know about, with their words. Each is summed over the hour's runs."""


@dataclass(frozen=True, slots=True)
class Minute:
    """The runs that began in one minute, as Lambda counted them."""

    began: datetime
    invocations: int
    errors: int


@examines(
    LAST_RUN,
    needs_settings=False,
    not_local="under `sam local` there are no metrics of Lambda's: nobody counts the runs",
)
def last_run(it: Dependencies) -> list[Finding]:
    """When the last run succeeded; invocations of the doctor count as well."""
    now = it.clock()
    metric = {
        "Namespace": "AWS/Lambda",
        "Dimensions": [{"Name": "FunctionName", "Value": it.function_name}],
    }
    names = ("Invocations", "Errors")
    found = _look(it, metric, names, now - look_back(it.schedule), now)
    if isinstance(found, AwsError):
        return [_not_read(LAST_RUN, found)]
    started, errors = (found.get(name, {}) for name in names)
    runs = [
        Minute(at, round(count), round(errors.get(at, 0))) for at, count in started.items() if count
    ]
    return [judge_runs(runs, now, it.schedule)]


@examines(LAST_HOUR, not_local="under `sam local` metrics are written to the log, and go nowhere")
def last_hour(it: Dependencies) -> list[Finding]:
    """What is not listed at this moment may have been refused all the hour."""
    now = it.clock()
    metric = {
        "Namespace": it.settings.metrics_namespace,
        "Dimensions": [{"Name": "service", "Value": it.settings.service_name}],
    }
    found = _look(it, metric, (*TOLD, *WRONG), now - HOUR, now)
    if isinstance(found, AwsError):
        return [_not_read(LAST_HOUR, found)]
    return [judge_hour({name: round(sum(of.values())) for name, of in found.items()})]


def _look(
    it: Dependencies,
    metric: Mapping[str, Any],
    names: Sequence[str],
    began: datetime,
    now: datetime,
) -> dict[str, dict[datetime, float]] | AwsError:
    """Sums by the minute, by metric: GetMetricData, in one call."""
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {"Metric": {**metric, "MetricName": name}, "Period": 60, "Stat": "Sum"},
        }
        for number, name in enumerate(names)
    ]

    def call() -> dict[str, dict[datetime, float]] | AwsError:
        try:
            answer = it.client("cloudwatch").get_metric_data(
                MetricDataQueries=queries, StartTime=began, EndTime=now
            )
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        if error_codes.lacks(answer, "MetricDataResults"):
            return error_codes.NOT_AWS
        return {
            names[int(result["Id"][1:])]: dict(
                zip(result["Timestamps"], result["Values"], strict=True)
            )
            for result in answer["MetricDataResults"]
        }

    return it.look(call)


def _not_read(check: Check, error: AwsError) -> Finding:
    if error.denied:
        return skipped(check, f"{error.code}: the metrics may not be read", allow(READ))
    return aws_failed(check, error, READ)


def judge_hour(counts: Mapping[str, int]) -> Finding:
    """What the runs ended in.

    Args:
        counts: the sum of each metric over the last hour; one that was not sent may be missing.
    """
    told = [f"{count} {word}" for name, word in TOLD.items() if (count := counts.get(name))]
    wrong = [(count, *words) for name, words in WRONG.items() if (count := counts.get(name))]
    told += [f"{count} {word}" for count, word, _ in wrong]
    if not told:
        return ok(LAST_HOUR, "nothing was listed to a run, or nothing that needed one")
    found = f"summed over the runs of the last hour: {', '.join(told)}"
    if not wrong:
        return ok(LAST_HOUR, found)
    return warning(
        LAST_HOUR,
        found,
        "; ".join(f"{word}: {advice.cause}" for _, word, advice in wrong),
        "; ".join(f"{word}: {advice.cure}" for _, word, advice in wrong),
    )


def look_back(schedule: Schedule | None) -> timedelta:
    """How far back to look for runs: over the window, whose first minute may be cut."""
    return max(HOUR, (window_of(schedule) or LEAST_WINDOW) + MINUTE)


def judge_runs(runs: Sequence[Minute], now: datetime, schedule: Schedule | None) -> Finding:
    """When the last run succeeded, and whether that is long ago under this schedule.

    Args:
        runs: those of `look_back`, in any order; of a function that serves several agents, all.
        now: the time now.
        schedule: None where it is not known; one that does not exist is not enabled either.
    """
    rate = window_of(schedule)
    window = rate or LEAST_WINDOW
    # A run's time within its minute is not known: the latest counts, in doubt for the function.
    good = [min(one.began + MINUTE, now) for one in runs if one.invocations > one.errors]
    count = sum(one.invocations for one in runs)
    wrong = sum(one.errors for one in runs)
    looked_back = _span(look_back(schedule))
    found = f"no run of the function in the last {looked_back}"
    if count:
        last = f"{_span(now - max(good))} ago" if good else f"over {looked_back} ago"
        found = (
            f"last good run {last} ({count} runs of the function in the last {looked_back}, "
            f"{wrong} with an error)"
        )
    if good and now - max(good) <= window:
        return ok(LAST_RUN, found)
    if schedule is not None and not schedule.enabled:
        return skipped(LAST_RUN, f"it depends on {SCHEDULE}; {found}")
    judge = warning if rate is None else failed
    if any(one.invocations for one in runs if now - one.began <= window + MINUTE):
        return judge(
            LAST_RUN,
            found,
            "runs are started and end in an error",
            "mend what failed above; if nothing did, the newest error in the function's log "
            "(stack output LogGroup) names the cause",
        )
    if rate is None:
        return warning(
            LAST_RUN,
            f"{found}; none was started in the last {_span(window)}",
            "nothing has started the function lately; whether anything should have is not known here",
            f"see {SCHEDULE} above, and the function's other triggers, if you gave it some",
        )
    return failed(
        LAST_RUN,
        f"{found}; none was started in the last {_span(window)}",
        "the schedule does not get through to the function: its role may not invoke it, or Lambda "
        "throttled it. A stack that is younger than this has none yet",
        "read a message in the queue of the stack's output Undelivered: it names the reason; then see "
        "whether the function's reserved concurrency is 0",
    )


def _span(time: timedelta) -> str:
    minutes = max(int(time.total_seconds() // 60), 0)
    if minutes <= 1:
        return "a minute"
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
