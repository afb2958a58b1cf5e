"""Examines the settings, and the operator's own two switches among them."""

from __future__ import annotations

from collections.abc import Sequence

from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.findings import AGENTS_SHOWN, Check, Finding, failed, ok, warning
from handler.instances.model import Agent

SETTINGS = Check("settings", "Is every variable of the environment good?")
AUTO_TERMINATE = Check("auto_terminate_function", "Is terminating switched on in the function?")
DRY_RUN = Check("dry_run", "Do runs act, or only say what they would do?")


def judge(error: str | None, agents: Sequence[Agent] = ()) -> Finding:
    """The settings were read before anything else could be examined.

    Args:
        error: what is wrong with them, or None.
        agents: those of `AGENT_ID`. One without a logical id cannot tell whose a zombie is, and the
            backend lists its neighbours' zombies to it.
    """
    if error is None:
        good = "every variable is good"
        plain = [one.agent_id for one in agents if not one.logical_id]
        if not plain:
            return ok(SETTINGS, good)
        shown = ", ".join(plain[:AGENTS_SHOWN]) + (", ..." if len(plain) > AGENTS_SHOWN else "")
        found = f"{good}; without a logical id, and so not able to tell whose a zombie is: {shown}"
        if len(agents) == 1:  # it may be the only one of its region
            return ok(SETTINGS, found)
        return warning(
            SETTINGS,
            found,
            "a listed zombie whose tag LogicalAgentId is missing or `default` counts as the first such "
            "agent's, though it be a neighbour's",
            "name its logical id, the LOGICAL_AGENT_ID of its agent.env: AGENT_ID=<id>=<logical id>; where "
            "it has none, one agent may be given `default`",
        )
    return failed(
        SETTINGS,
        error,
        "the function stops at every event until each of these variables is good",
        "correct the stack's parameters of the same names (AGENT_ID is AgentId), and deploy; a variable that "
        "was edited by hand has to be put right by hand, since a deploy touches only what the template "
        "changed",
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
