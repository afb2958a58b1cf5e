"""Faults of the way to the backend, and of what it answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event

import pytest

from tests.integration.doctor.clinic import (
    AFTER_THE_LIST,
    BEHIND_THE_TOKEN,
    WITHOUT_BACKEND,
    WITHOUT_TLS,
    Clinic,
    Told,
    deaf,
    mute,
    unused,
)
from tests.integration.scripted import Exchange, ScriptedBackend


class TestTheWay:
    def test_a_proxy_that_is_down(self, clinic: Clinic) -> None:
        """A refused connection is not the backend's, where a proxy stands before it."""
        with unused() as address:
            clinic.examine(HTTPS_PROXY=f"http://{address}").only(
                "backend_reachable",
                "refused",
                "the proxy that HTTPS_PROXY names",
                skipped=WITHOUT_BACKEND,
            )

    def test_a_name_that_does_not_resolve(self, clinic: Clinic) -> None:
        clinic.examine(SERVER_URL="https://backend.invalid").only(
            "backend_reachable",
            "backend.invalid: ",
            "does not resolve",
            skipped=WITHOUT_BACKEND,
        )

    def test_a_backend_to_which_no_connection_can_be_made(self, clinic: Clinic) -> None:
        with deaf() as address:
            clinic.examine(SERVER_URL=f"https://{address}", timeout=10).only(
                "backend_reachable",
                "timed out",
                "a security group",
                skipped=WITHOUT_BACKEND,
            )

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_backend_that_takes_connections_and_does_not_answer(
        self, clinic: Clinic, scheme: str
    ) -> None:
        """A connection was made: the network is not to blame."""
        with mute() as address:
            clinic.examine(SERVER_URL=f"{scheme}://{address}", timeout=10).only(
                "backend_reachable",
                "timed out",
                "it takes connections, and its answer does not come in time",
                skipped=WITHOUT_BACKEND,
            )

    def test_an_answer_that_breaks_off_in_the_middle_for_too_long(
        self, odd: Callable[..., Told]
    ) -> None:
        """Headers at once, and a body that does not come."""

        def answer(exchange: Exchange) -> None:
            handler = exchange.handler
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.flush()
            released.wait(30)

        released = Event()
        try:
            told = odd(answer, timeout=10)
        finally:
            released.set()
        told.only(
            "backend_reachable",
            "",
            "it takes connections, and its answer does not come in time",
            skipped=WITHOUT_BACKEND,
        )

    def test_without_a_token_the_way_is_examined_all_the_same(self, clinic: Clinic) -> None:
        told = clinic.examine(
            CLIENT_TOKEN_PARAMETER="/not/there", SERVER_URL="https://backend.invalid"
        )
        assert told.of("failed") == {"token", "backend_reachable"}

    def test_a_certificate_by_an_unknown_authority(self, clinic: Clinic) -> None:
        clinic.examine(REQUESTS_CA_BUNDLE=None).only(
            "tls",
            "certificate verify failed",
            "a private CA",
            skipped=WITHOUT_TLS,
        )

    def test_a_certificate_for_another_name(self, clinic: Clinic) -> None:
        url = clinic.stack.backend_url.replace("127.0.0.1", "localhost")
        clinic.examine(SERVER_URL=url).only(
            "tls",
            "localhost",
            "for another name",
            skipped=WITHOUT_TLS,
        )

    def test_a_port_that_speaks_no_tls(self, clinic: Clinic, scripted: ScriptedBackend) -> None:
        clinic.examine(SERVER_URL=scripted.url.replace("http:", "https:")).only(
            "tls", "", "no TLS could be agreed on", skipped=WITHOUT_TLS
        )

    def test_a_bundle_that_is_not_there(self, clinic: Clinic) -> None:
        clinic.examine(REQUESTS_CA_BUNDLE="/opt/nowhere.pem").only(
            "tls",
            "/opt/nowhere.pem",
            "trust cannot be read",
            skipped=WITHOUT_TLS,
        )


class TestTheAnswer:
    @pytest.mark.parametrize("status", [200, 403])
    def test_a_page_of_html(self, odd: Callable[..., Told], status: int) -> None:
        """A proxy's 403 is not the backend's: the client may well be active."""
        page = b"<html><body>Please log in</body></html>"
        odd(lambda exchange: exchange.answer(status, page, Content_Type="text/html")).only(
            "list_shape",
            f"HTTP {status}",
            "something else answers in the backend's place",
            skipped=(BEHIND_THE_TOKEN - {"list_shape"}) | AFTER_THE_LIST,
        )

    def test_a_list_of_another_shape(self, odd: Callable[..., Told]) -> None:
        odd(lambda exchange: exchange.answer(200, b'{"instances": {}}')).only(
            "list_shape",
            "instances",
            "something else answers",
            skipped=(BEHIND_THE_TOKEN - {"list_shape"}) | AFTER_THE_LIST,
        )

    def test_a_redirect(self, odd: Callable[..., Told]) -> None:
        odd(lambda exchange: exchange.answer(302, Location="https://elsewhere.example")).only(
            "backend_reachable",
            "HTTP 302",
            "the token is not taken there",
            skipped=BEHIND_THE_TOKEN | AFTER_THE_LIST,
        )

    def test_a_backend_in_trouble(self, odd: Callable[..., Told]) -> None:
        odd(lambda exchange: exchange.answer(503, b'{"error": "database"}')).only(
            "backend_reachable",
            "HTTP 503 (database)",
            "in trouble",
            skipped=BEHIND_THE_TOKEN | AFTER_THE_LIST,
        )

    def test_entries_that_are_none_are_a_warning(
        self, odd: Callable[..., Told], scripted: ScriptedBackend
    ) -> None:
        scripted.extra.append({"instance_id": "vm-1"})
        told = odd()
        assert told.of("warning") == {"list_shape"}
        assert "1 entries that are none" in told.checks["list_shape"]["found"]

    @pytest.mark.parametrize(
        ("date", "status", "found"),
        [
            ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "skipped", "bears no date"),
            ("Fri, 31 Dec 9999 23:59:59 GMT", "failed", "s ahead of ours"),
        ],
    )
    def test_a_date_that_is_none_costs_no_other_check(
        self, odd: Callable[..., Told], date: str, status: str, found: str
    ) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.handler.date_time_string = lambda *_: date  # type: ignore[method-assign]
            exchange.genuine()

        told = odd(answer)
        assert told.checks["clock_skew"]["status"] == status
        assert found in told.checks["clock_skew"]["found"]
        assert told.of("failed") <= {"clock_skew"}

    @pytest.mark.parametrize(("seconds", "status"), [(-20, "warning"), (300, "failed")])
    def test_a_clock_that_is_off(self, odd: Callable[..., Told], seconds: int, status: str) -> None:
        def answer(exchange: Exchange) -> None:
            stated = datetime.now(UTC) + timedelta(seconds=seconds)
            exchange.handler.date_time_string = lambda *_: format_datetime(stated, usegmt=True)  # type: ignore[method-assign]
            exchange.genuine()

        told = odd(answer)
        assert told.checks["clock_skew"]["status"] == status
        assert told.of("failed") == ({"clock_skew"} if status == "failed" else set())
