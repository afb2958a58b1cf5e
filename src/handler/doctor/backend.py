"""Examines the backend: asks it for the list as a run does, and judges how far the request gets.

It keeps what a run has no use for: the answer's date, and what stopped a request.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests

from handler.backend.api import BackendApi, Reply
from handler.backend.errors import BackendError
from handler.backend.session import open_session
from handler.backend.token import TokenError
from handler.backend.wire import read_envelope
from handler.deadline import Deadline, LateError, in_time
from handler.doctor.advice import Advice
from handler.doctor.barriers import Barrier, barrier_of, innermost
from handler.doctor.dependencies import Answered, Dependencies, Unreached, examines
from handler.doctor.findings import (
    Check,
    Finding,
    depends,
    failed,
    first_failed,
    ok,
    warning,
)
from handler.doctor.token import TOKEN
from handler.instances.listing import read_list
from handler.instances.model import Agent, AgentList

REACHABLE = Check("backend_reachable", "Does a request reach the backend?")
TLS = Check("tls", "Is the backend's certificate trusted?")
ACCEPTED = Check("token_accepted", "Does the backend accept the token?")
ACTIVE = Check("client_active", "Is the client active in the backend?")
KNOWN = Check("agent_known", "Does the backend know the agent as this client's?")
LIST = Check("list_shape", "Is the answer a list of instances?")
SWITCH = Check("auto_terminate_backend", "Is auto-terminate on for the agent in the backend?")
AUTHORIZED = (ACCEPTED, ACTIVE, KNOWN)
"""What the backend checks before it lists anything, in its order."""

LONGEST_ASK = 30.0
"""Seconds of a run's time that the backend gets: two thirds of them to answer in."""
LONGEST_WAIT = 22.0
"""Seconds for which it is waited: a little over those two thirds, so that the client itself says how
far a request got, and a backend that answers byte by byte takes no other check's time."""
STRANGE = "an answer that is not the backend's own"
REFUSALS = {
    401: (
        ACCEPTED,
        Advice(
            "the token is not this client's, or not any more",
            "put the client's current token into the SSM parameter; the function takes it up by itself",
        ),
    ),
    403: (
        ACTIVE,
        Advice("the client is inactive in the backend", "activate the client in the backend"),
    ),
    404: (
        KNOWN,
        Advice(
            "the backend knows no such agent of this client: AGENT_ID is wrong, or the token is another "
            "client's",
            "set AGENT_ID (or the event's agent_id) to the agent's id as the backend shows it, or put the "
            "token of the client that has this agent into the SSM parameter",
        ),
    ),
}


_CHECKS = (REACHABLE, TLS, *AUTHORIZED, LIST, SWITCH)


@examines(*_CHECKS)
def examine(it: Dependencies) -> list[Finding]:
    """How far each agent's request gets, and what it brings."""
    began = time.monotonic()
    return it.per_agent(_CHECKS, lambda agent_id: _of(it, agent_id, began), LONGEST_WAIT + 1)


def _of(it: Dependencies, agent_id: str, began: float) -> list[Finding]:
    tokenless = agent_id in it.tokenless

    def left(most: float) -> float:
        """All agents share the backend's time."""
        return min(it.deadline.to_act(), most - (time.monotonic() - began))

    deadline = Deadline(lambda: left(LONGEST_ASK))
    try:
        answer = in_time(
            lambda: _ask(it, agent_id, deadline, anonymously=tokenless),
            lambda: left(LONGEST_WAIT),
        )
    except LateError:
        answer = Unreached(Barrier.LATE, "no answer in the doctor's time")
    it.answers[agent_id] = answer
    way = _judge_way(it.settings.server_url, answer)
    blocked = first_failed(way) or (TOKEN if tokenless else None)
    listing = answer.listing if isinstance(answer, Answered) and not blocked else None
    if listing is not None:
        it.listings[agent_id] = listing
    return [*way, *_judge_list(answer, blocked), judge_switch(listing)]


def _ask(
    it: Dependencies, agent_id: str, deadline: Deadline, *, anonymously: bool
) -> Answered | Unreached:
    """GET instances-to-terminate, over a session of its own: the whole way is gone anew."""
    heard: list[tuple[int, datetime | None, datetime]] = []

    def hear(response: requests.Response, *_: object, **__: object) -> None:
        heard.append((response.status_code, _date(response), it.clock()))

    url = it.settings.server_url
    sent = it.clock()
    reply: Reply | None = None
    try:
        session = open_session(url, 1, os.environ, it.environment.private_ca)
        session.hooks["response"] = [hear]
        api = BackendApi(session, url, agent_id, it.token(agent_id))
        reply = api.ask_for_list(deadline.to_act, anonymously=anonymously)
    except TokenError:  # refused, and no other token is to be had: the refusal is the answer
        pass
    except BackendError as error:
        return Unreached(barrier_of(error, connected=bool(heard)), innermost(error))
    except OSError as error:  # what requests raises for a bundle that is not there
        return Unreached(Barrier.BUNDLE, str(error))
    if not heard:
        return Unreached(Barrier.BROKEN, "no token to ask with")
    status, stated, received = heard[-1]
    if reply is None or reply.status != requests.codes.ok:
        said = reply.said.removeprefix(": ") if reply else ""
        return Answered(status, bool(said), said, None, stated, sent, received)
    try:
        agent = next((a for a in it.settings.agents if a.agent_id == agent_id), Agent(agent_id))
        listing = read_list(agent, read_envelope(reply.body), received)
    except BackendError as error:
        return Answered(status, False, str(error), None, stated, sent, received)
    return Answered(status, True, "", listing, stated, sent, received)


def _date(response: requests.Response) -> datetime | None:
    try:
        stated = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError, OverflowError):
        return None
    return stated if stated.tzinfo else stated.replace(tzinfo=UTC)


def _judge_way(url: str, answer: Answered | Unreached) -> list[Finding]:
    """How far a request gets: reachable, and over TLS."""
    host = urlsplit(url).netloc
    if isinstance(answer, Unreached):
        fault = (f"{host}: {answer.said}", *answer.barrier.value)
        if answer.barrier.of_tls:
            return [ok(REACHABLE, f"{host} takes connections"), failed(TLS, *fault)]
        return [failed(REACHABLE, *fault), depends(TLS, REACHABLE)]
    found = f"{host} answers HTTP {answer.status}{_quoted(answer)}"
    reachable = ok(REACHABLE, found)
    if 300 <= answer.status < 400:
        reachable = failed(
            REACHABLE,
            found,
            "it sends requests elsewhere, and the token is not taken there",
            "set SERVER_URL to where the backend really is",
        )
    elif answer.status == 429 or answer.status >= 500:
        reachable = failed(
            REACHABLE,
            found,
            "the backend, its database, or the load balancer before it is in trouble",
            "look at the backend's status and log, then at its database",
        )
    encrypted = url.startswith("https:")
    trusted = "the certificate is trusted"
    return [
        reachable,
        ok(TLS, trusted if encrypted else "not needed: SERVER_URL is on this machine"),
    ]


def _judge_list(answer: Answered | Unreached, blocked: Check | None) -> list[Finding]:
    """Whether token, client and agent are accepted, and the list is one.

    Args:
        answer: the backend's.
        blocked: the check before these that did not hold, if one did not.
    """
    if isinstance(answer, Unreached) or blocked is not None:
        return [depends(one, blocked or REACHABLE) for one in (*AUTHORIZED, LIST)]
    if answer.listing is not None:
        return [*(ok(one, "yes") for one in AUTHORIZED), _judge_entries(answer.listing)]
    if answer.own and answer.status in REFUSALS:
        # The backend checks token, client, agent in turn: what comes before the refused one holds.
        check, words = REFUSALS[answer.status]
        at = AUTHORIZED.index(check)
        return [
            *(ok(one, "yes") for one in AUTHORIZED[:at]),
            failed(check, f"HTTP {answer.status}{_quoted(answer)}", *words),
            *(depends(one, check) for one in (*AUTHORIZED[at + 1 :], LIST)),
        ]
    strange = failed(
        LIST,
        f"HTTP {answer.status}: {answer.said or STRANGE}",
        "something else answers in the backend's place (a proxy, a login page, a firewall), or the "
        "path in SERVER_URL is wrong",
        "open SERVER_URL yourself, and correct it: it is the backend's address without /api",
    )
    return [*(depends(one, LIST) for one in AUTHORIZED), strange]


def _judge_entries(listing: AgentList) -> Finding:
    found = f"{len(listing.marked)} instances are listed"
    if not listing.invalid:
        return ok(LIST, found)
    return warning(
        LIST,
        f"{found}, and {listing.invalid} entries that are none: {_first_fault(listing)}",
        "the backend lists what is no instance, or one twice",
        'mend these rows in the backend; the log has each as "entry invalid"',
    )


def _first_fault(listing: AgentList) -> str:
    return next((one.why for one in listing.told if not one.placeholder), "see the log")


def judge_switch(listing: AgentList | None) -> Finding:
    """Auto-terminate in the backend."""
    if listing is None:
        return depends(SWITCH, LIST)
    if listing.enabled:
        return ok(SWITCH, "on")
    return failed(
        SWITCH,
        "off",
        "auto-terminate is switched off for this agent in the backend: it lists nothing",
        "switch it on in the agent's configuration in the backend",
    )


def _quoted(answer: Answered) -> str:
    return f" ({answer.said})" if answer.own and answer.said else ""
