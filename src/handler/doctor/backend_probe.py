"""Asks the backend as a run does, and keeps what a run has no use for: dates, and how far it got."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests

from handler.backend.api import BackendApi, Reply
from handler.backend.token import TokenError
from handler.backend.wire import read_listing
from handler.doctor.barriers import barrier_of, innermost
from handler.doctor.ports import Answered, Barrier, Unreached
from handler.instances.ports import BackendError


@dataclass(slots=True)
class BackendProbe:
    """The port `BackendExamination`.

    Args:
        api: the backend, over a session of its own, so that the whole way is gone anew.
        clock: the time now (UTC).
    """

    api: BackendApi
    clock: Callable[[], datetime]

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.api.server_url).netloc

    @property
    def encrypted(self) -> bool:
        """Whether the token goes over TLS."""
        return self.api.server_url.startswith("https:")

    def ask(self, *, anonymously: bool) -> Answered | Unreached:
        """GET instances-to-terminate."""
        heard: list[tuple[int, datetime | None, datetime]] = []

        def hear(response: requests.Response, *_: object, **__: object) -> None:
            heard.append((response.status_code, _date(response), self.clock()))

        self.api.session.hooks["response"] = [hear]
        sent = self.clock()
        reply: Reply | None = None
        try:
            reply = self.api.ask_for_list(anonymously=anonymously)
        except TokenError:  # refused, and no other token is to be had: the refusal is the answer
            pass
        except BackendError as error:
            return Unreached(barrier_of(error), innermost(error))
        except OSError as error:  # what requests raises for a bundle that is not there
            return Unreached(Barrier.BUNDLE, str(error))
        if not heard:
            return Unreached(Barrier.BROKEN, "no token to ask with")
        status, stated, received = heard[-1]
        if reply is None or reply.status != requests.codes.ok:
            said = reply.said.removeprefix(": ") if reply else ""
            return Answered(status, bool(said), said, None, stated, sent, received)
        try:
            listing = read_listing(reply.body)
        except BackendError as error:
            return Answered(status, False, str(error), None, stated, sent, received)
        return Answered(status, True, "", listing, stated, sent, received)


def _date(response: requests.Response) -> datetime | None:
    try:
        stated = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return None
    return stated if stated.tzinfo else stated.replace(tzinfo=UTC)
