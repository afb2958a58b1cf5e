"""The doctor's checks on the token and the backend: the original guide's causes 2, 4 and 5."""

from __future__ import annotations

from handler.doctor.advice import advice
from handler.doctor.advice_backend import BARRIERS, REFUSALS, TOKEN
from handler.doctor.findings import (
    Check,
    Finding,
    depends,
    failed,
    judge_skew,
    least_skew,
    ok,
    skipped,
    warning,
)
from handler.doctor.ports import (
    TLS_BARRIERS,
    Answered,
    BackendExamination,
    TokenFault,
    TokenTrouble,
    Unreached,
)
from handler.instances.model import Listing

AUTHORIZED = (Check.TOKEN_ACCEPTED, Check.CLIENT_ACTIVE, Check.AGENT_KNOWN)
"""What the backend checks before it lists anything, in its order."""
STRANGE = "an answer that is not the backend's own"


def judge_token(trouble: TokenTrouble | None, parameter: str, *, given: bool) -> Finding:
    """Whether the token can be read."""
    if given:
        return ok(Check.TOKEN, "it is given by CLIENT_TOKEN, which is for local runs")
    if trouble is None:
        return ok(Check.TOKEN, f"the SSM parameter {parameter} holds one")
    words = TOKEN[trouble.fault]
    if trouble.fault is TokenFault.OTHER and trouble.error is not None:
        words = advice(trouble.error, "ssm:GetParameter")
    return failed(Check.TOKEN, f"{parameter}: {trouble.said}", *words)


def judge_way(backend: BackendExamination, answer: Answered | Unreached) -> list[Finding]:
    """How far a request gets: reachable, and over TLS."""
    if isinstance(answer, Unreached):
        found, words = f"{backend.host}: {answer.said}", BARRIERS[answer.barrier]
        if answer.barrier in TLS_BARRIERS:
            return [
                ok(Check.BACKEND, f"{backend.host} takes connections"),
                failed(Check.TLS, found, *words),
            ]
        return [failed(Check.BACKEND, found, *words), depends(Check.TLS, Check.BACKEND)]
    tls = ok(
        Check.TLS,
        "the certificate is trusted"
        if backend.encrypted
        else "not needed: SERVER_URL is this host's own loopback",
    )
    return [_judge_status(backend, answer), tls]


def _judge_status(backend: BackendExamination, answer: Answered) -> Finding:
    found = f"{backend.host} answers HTTP {answer.status}{_quoted(answer)}"
    if 300 <= answer.status < 400:
        return failed(
            Check.BACKEND,
            found,
            "it sends requests elsewhere, and the token is not taken there",
            "set SERVER_URL to where the backend really is",
        )
    if answer.status == 429 or answer.status >= 500:
        return failed(
            Check.BACKEND,
            found,
            "the backend, its database, or the load balancer before it is in trouble",
            "look at the backend's status and log, then at its database",
        )
    return ok(Check.BACKEND, found)


def judge_list(answer: Answered | Unreached, blocked: Check | None) -> list[Finding]:
    """Whether token, client and agent are accepted, and the list is one.

    Args:
        answer: the backend's.
        blocked: the check before these that did not hold, if one did not.
    """
    if isinstance(answer, Unreached) or blocked is not None:
        return [depends(one, blocked or Check.BACKEND) for one in (*AUTHORIZED, Check.LIST)]
    if answer.listing is not None:
        return [
            ok(Check.TOKEN_ACCEPTED, "yes"),
            ok(Check.CLIENT_ACTIVE, "yes"),
            ok(Check.AGENT_KNOWN, "yes"),
            _judge_entries(answer.listing),
        ]
    if answer.own and answer.status in REFUSALS:
        return _refused(answer)
    strange = failed(
        Check.LIST,
        f"HTTP {answer.status}: {answer.said or STRANGE}",
        "something else answers in the backend's place (a proxy, a login page, a firewall), or the "
        "path in SERVER_URL is wrong",
        "open SERVER_URL yourself, and correct it: it is the backend's address without /api",
    )
    return [*(depends(one, Check.LIST) for one in AUTHORIZED), strange]


def _refused(answer: Answered) -> list[Finding]:
    """The backend checks token, client, agent in turn: what comes before the refused one holds."""
    check, words = REFUSALS[answer.status]
    at = AUTHORIZED.index(check)
    return [
        *(ok(one, "yes") for one in AUTHORIZED[:at]),
        failed(check, f"HTTP {answer.status}{_quoted(answer)}", *words),
        *(depends(one, check) for one in (*AUTHORIZED[at + 1 :], Check.LIST)),
    ]


def _judge_entries(listing: Listing) -> Finding:
    found = f"{len(listing.marked)} instances are listed"
    if not listing.invalid:
        return ok(Check.LIST, found)
    return warning(
        Check.LIST,
        f"{found}, and {len(listing.invalid)} entries that are none: {listing.invalid[0].why}",
        "the backend lists what is no instance, or one twice",
        'mend these rows in the backend; the log has each as "entry invalid"',
    )


def judge_switches(listing: Listing | None, *, enabled: bool, dry_run: bool) -> list[Finding]:
    """Auto-terminate on either side, and DRY_RUN: the original guide's cause 2."""
    if listing is None:
        backend = depends(Check.AUTO_TERMINATE_BACKEND, Check.LIST)
    elif listing.auto_terminate_enabled:
        backend = ok(Check.AUTO_TERMINATE_BACKEND, "on")
    else:
        backend = failed(
            Check.AUTO_TERMINATE_BACKEND,
            "off",
            "auto-terminate is switched off for this agent in the backend: it lists nothing",
            "switch it on in the agent's configuration in the backend",
        )
    function = (
        ok(Check.AUTO_TERMINATE_FUNCTION, "on")
        if enabled
        else failed(
            Check.AUTO_TERMINATE_FUNCTION,
            "AUTO_TERMINATE_ENABLED is false",
            "the operator has switched terminating off: what is listed is deferred",
            "set the stack's parameter AutoTerminateEnabled to true",
        )
    )
    dry = (
        warning(
            Check.DRY_RUN,
            "DRY_RUN is true",
            "runs only say what they would do: nothing is terminated, nothing is reported",
            "set the stack's parameter DryRun to false once the plan in the log is what is meant",
        )
        if dry_run
        else ok(Check.DRY_RUN, "off")
    )
    return [backend, function, dry]


def judge_clock(answer: Answered | Unreached) -> Finding:
    """The backend's clock against ours."""
    if isinstance(answer, Unreached):
        on = Check.TLS if answer.barrier in TLS_BARRIERS else Check.BACKEND
        return depends(Check.CLOCK, on)
    if answer.stated is None:
        return skipped(Check.CLOCK, "the backend's answer bears no date")
    return judge_skew(least_skew(answer.stated, answer.sent, answer.received))


def _quoted(answer: Answered) -> str:
    return f" ({answer.said})" if answer.own and answer.said else ""
