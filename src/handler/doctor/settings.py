"""Examines the settings, and the operator's own two switches among them."""

from __future__ import annotations

from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.findings import Check, Finding, failed, ok, warning

SETTINGS = Check("settings", "Is every variable of the environment good?")
AUTO_TERMINATE = Check("auto_terminate_function", "Is terminating switched on in the function?")
DRY_RUN = Check("dry_run", "Do runs act, or only say what they would do?")


def judge(error: str | None) -> Finding:
    """The settings were read before anything else could be examined."""
    if error is None:
        return ok(SETTINGS, "every variable is good")
    return failed(
        SETTINGS,
        error,
        "the function stops at every event until each of these variables is good",
        "correct the stack's parameters of the same names, and deploy; a variable that was edited by "
        "hand has to be put right by hand, since a deploy touches only what the template changed",
    )


@examines(AUTO_TERMINATE)
def auto_terminate(it: Dependencies) -> list[Finding]:
    """The operator's switch."""
    if it.settings.auto_terminate_enabled:
        return [ok(AUTO_TERMINATE, "on")]
    return [
        failed(
            AUTO_TERMINATE,
            "AUTO_TERMINATE_ENABLED is false",
            "the operator has switched terminating off: what is listed is deferred",
            "set the stack's parameter AutoTerminateEnabled to true",
        )
    ]


@examines(DRY_RUN)
def dry_run(it: Dependencies) -> list[Finding]:
    """Whether it is only a rehearsal."""
    if not it.settings.dry_run:
        return [ok(DRY_RUN, "off")]
    return [
        warning(
            DRY_RUN,
            "DRY_RUN is true",
            "runs only say what they would do: nothing is terminated, nothing is reported",
            "set the stack's parameter DryRun to false once the plan in the log is what is meant",
        )
    ]
