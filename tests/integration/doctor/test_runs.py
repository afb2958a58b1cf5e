"""What the last hour's runs ended in, though nothing be listed at this moment."""

from __future__ import annotations

from handler.instances.outcome import Outcome
from tests.integration.doctor.clinic import CHECKS, Clinic


def test_what_went_wrong_in_the_last_hour_is_a_warning(clinic: Clinic) -> None:
    clinic.count("TerminationFailures", 2, minutes_ago=55)
    clinic.count("TerminationFailures", 3, minutes_ago=2)
    told = clinic.examine()
    assert told.of("failed") == set()
    assert told.of("warning") == {"last_hour"}
    assert "see also last_hour" in told.invocation.returned["text"].splitlines()[0]
    assert "5 failed" in told.checks["last_hour"]["found"]


def test_refused_machines_are_told_while_the_backend_hides_them(bare: Clinic) -> None:
    """A report hides a machine for five minutes: at this moment nothing is listed at all."""
    bare.make_schedule()
    bare.count_run(minutes_ago=1)
    for minutes_ago in (40, 10):
        bare.count("InstancesListed", 2, minutes_ago=minutes_ago)
        bare.count("TerminationsRefused", 2, minutes_ago=minutes_ago)
    told = bare.examine()
    assert "nothing is listed" in told.checks["marked_instances"]["found"]
    assert told.checks["last_hour"]["found"].endswith("4 listed, 4 refused")
    assert told.of("warning") == {"last_hour"}


def test_what_went_well_is_told_and_no_warning(clinic: Clinic) -> None:
    clinic.count("InstancesListed", 4)
    clinic.count("InstancesTerminated", 3)
    clinic.count("InstancesIgnored", 1)
    told = clinic.examine()
    assert told.of("ok") == set(CHECKS), told.invocation.returned["text"]
    assert "4 listed, 3 terminated, 1 ignored" in told.checks["last_hour"]["found"]


def test_what_is_older_or_another_stack_s_is_not_this_hour_s(clinic: Clinic) -> None:
    clinic.count("TerminationFailures", minutes_ago=62)
    told = clinic.examine()
    assert told.of("ok") == set(CHECKS), told.invocation.returned["text"]
    clinic.count("TerminationFailures")
    assert clinic.examine(POWERTOOLS_SERVICE_NAME="another").of("warning") == set()


def test_each_metric_is_looked_at(clinic: Clinic) -> None:
    words = {one.metric: one.key.replace("_", " ") for one in Outcome} | {
        "InstancesUntagged": "untagged",
        "InstancesOverdue": "overdue",
        "LookUpFailures": "look-ups failed",
        "AgentsFailed": "agents failed",
    }
    for metric in words:
        clinic.count(metric)
    found = clinic.examine().checks["last_hour"]["found"]
    assert [metric for metric, word in words.items() if f"1 {word}" not in found] == []
