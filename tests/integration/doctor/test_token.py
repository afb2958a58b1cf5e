"""Faults of the client token; and whoever repeats it, no answer of the doctor's does."""

from __future__ import annotations

import json

import pytest

from local.stack import PARAMETER
from tests.integration.doctor.clinic import (
    AFTER_THE_LIST,
    BEHIND_THE_TOKEN,
    Clinic,
    Stub,
)
from tests.integration.scripted import LIST, ScriptedBackend


class TestToken:
    def test_a_parameter_that_is_missing(self, clinic: Clinic) -> None:
        clinic.examine(CLIENT_TOKEN_PARAMETER="/not/there").only(
            "token",
            "/not/there: ParameterNotFound",
            "does not exist in this account and region",
            skipped=BEHIND_THE_TOKEN | AFTER_THE_LIST,
        )

    def test_a_parameter_that_holds_something_else(self, clinic: Clinic) -> None:
        clinic.give('{"token": "in json, with spaces"}')
        clinic.examine().only(
            "token",
            "does not hold a token",
            "something else than a token",
            skipped=BEHIND_THE_TOKEN | AFTER_THE_LIST,
        )

    def test_its_kms_key_denies_it(self, clinic: Clinic) -> None:
        """A denial has the same code from either; without decryption only SSM is asked."""
        parameter = {"Parameter": {"Name": PARAMETER, "Value": "AQIC", "Type": "SecureString"}}

        def answer(body: str) -> tuple[int, str]:
            if json.loads(body)["WithDecryption"]:
                return 400, '{"__type": "AccessDeniedException", "message": "not to you"}'
            return 200, json.dumps(parameter)

        with Stub(answer) as ssm:
            clinic.examine(AWS_ENDPOINT_URL_SSM=ssm.url).only(
                "token",
                "AccessDeniedException: not to you",
                "its KMS key does not decrypt",
                skipped=BEHIND_THE_TOKEN | AFTER_THE_LIST,
            )

    def test_a_token_that_the_backend_does_not_accept(self, clinic: Clinic) -> None:
        clinic.give("another-client-s-old-token")
        clinic.examine().only(
            "token_accepted",
            "HTTP 401 (Invalid client token)",
            "not this client's",
            skipped=(BEHIND_THE_TOKEN - {"token_accepted"}) | AFTER_THE_LIST,
        )

    def test_an_agent_of_another_client(self, clinic: Clinic) -> None:
        stranger = clinic.stack.operator.create_client("stranger")
        agent = clinic.stack.operator.create_agent(stranger.client_id)
        clinic.examine(AGENT_ID=agent).only(
            "agent_known",
            "HTTP 404 (Agent not found)",
            "AGENT_ID is wrong",
            skipped={"list_shape"} | AFTER_THE_LIST,
        )


class TestAnAnswerThatQuotesTheToken:
    """No token is written, whatever repeats it; `examine` looks after every examination."""

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (401, '{{"error": "no: Authorization: Bearer {token}"}}'),
            (302, "<html>Authorization: Bearer {token}</html>"),
            (404, "<html>Authorization: Bearer {token}</html>"),
            (200, '{{"instances": "{token}", "auto_terminate_enabled": "{token}"}}'),
            (
                200,
                '{{"auto_terminate_enabled": true, "instances": ["{token}", {{"instance_id": "{token}"}}]}}',
            ),
        ],
        ids=["error", "redirect", "page", "shape", "entries"],
    )
    def test_it_is_not_repeated(
        self, clinic: Clinic, scripted: ScriptedBackend, status: int, body: str
    ) -> None:
        clinic.give(scripted.token)
        said = body.format(token=scripted.token).encode()
        scripted.always_meets(LIST, lambda exchange: exchange.answer(status, said))
        told = clinic.examine(SERVER_URL=scripted.url)
        assert told.of("failed") | told.of("warning")

    def test_the_backend_s_words_are_shown_without_it(
        self, clinic: Clinic, scripted: ScriptedBackend
    ) -> None:
        clinic.give(scripted.token)
        said = json.dumps({"error": f"unknown: {scripted.token}!"}).encode()
        scripted.always_meets(LIST, lambda exchange: exchange.answer(403, said))
        told = clinic.examine(SERVER_URL=scripted.url)
        assert told.checks["client_active"]["found"] == "HTTP 403 (unknown: [hidden]!)"
