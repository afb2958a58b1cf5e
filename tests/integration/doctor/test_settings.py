"""Faults of the settings and of the switches, and another agent of the same stack."""

from __future__ import annotations

import itertools

import pytest

from handler.settings import EventError
from handler.termination import lambda_handler
from local.invoke import invoke
from tests.integration.doctor.clinic import (
    CHECKS,
    EVENT,
    Clinic,
)

_NUMBERS = itertools.count()


class TestSettings:
    def test_every_bad_variable_is_named_and_what_does_not_need_them_goes_on(
        self, clinic: Clinic
    ) -> None:
        secret = "p4ss-in-url"
        clinic.secrets.add(secret)
        told = clinic.examine(
            DRY_RUN="perhaps",
            MAX_FLEET_PERCENT="0",
            IDEMPOTENCY_TABLE="",
            SERVER_URL=f"https://user:{secret}@backend.example",
        )
        told.only(
            "settings",
            "4 bad variable(s)",
            "stops at every event",
            skipped=set(CHECKS) - {"settings", "schedule", "last_run"},
        )
        found = told.checks["settings"]["found"]
        names = ("DRY_RUN", "MAX_FLEET_PERCENT", "IDEMPOTENCY_TABLE", "SERVER_URL")
        assert [name for name in names if name not in found] == []

    def test_without_a_region_not_even_the_schedule_is_looked_at(self, clinic: Clinic) -> None:
        told = clinic.examine(AWS_REGION=None, AWS_DEFAULT_REGION=None)
        told.only(
            "settings",
            "AWS_REGION: missing",
            "stops at every event",
            skipped=set(CHECKS) - {"settings"},
        )

    def test_a_schedule_s_name_in_another_form_is_a_bad_variable(self, clinic: Clinic) -> None:
        told = clinic.examine(SCHEDULE_NAME="no-group")
        told.only(
            "settings",
            "SCHEDULE_NAME",
            "stops at every event",
            skipped=set(CHECKS) - {"settings", "last_run"},
        )


class TestSeveralAgents:
    """A stack that serves several agents: each has its own row and token."""

    @pytest.fixture
    def other(self, clinic: Clinic) -> str:
        """A healthy second agent of the same client."""
        return clinic.stack.operator.create_agent(
            clinic.stack.client.client_id, agent_id=f"agent-{next(_NUMBERS)}"
        )

    def both(self, clinic: Clinic, other: str) -> str:
        return f"{clinic.stack.agent_id},{other}"

    def test_what_is_alike_is_told_once(self, clinic: Clinic, other: str) -> None:
        told = clinic.examine(AGENT_ID=self.both(clinic, other))
        assert told.of("ok") == set(CHECKS) - {"settings"}, told.invocation.returned["text"]
        assert told.checks["agent_known"]["found"].startswith("2 agents (")

    def test_those_without_a_logical_id_are_told_that_they_cannot_tell(
        self, clinic: Clinic, other: str
    ) -> None:
        settings = clinic.examine(AGENT_ID=f"{clinic.stack.agent_id},{other}=web-2")
        one = settings.checks["settings"]
        assert one["status"] == "warning"
        assert clinic.stack.agent_id in one["found"]
        assert other not in one["found"]
        assert "AGENT_ID=<id>=<logical id>" in one["cure"]

    def test_one_s_switch_is_its_own(self, clinic: Clinic, other: str) -> None:
        clinic.stack.operator.set_auto_terminate(other, enabled=False)
        told = clinic.examine(AGENT_ID=self.both(clinic, other))
        assert told.of("failed") == {"auto_terminate_backend"}
        assert f"agent {other}: off" in told.invocation.returned["text"]

    def test_an_event_may_ask_for_one_of_them(self, clinic: Clinic, other: str) -> None:
        clinic.stack.operator.set_auto_terminate(other, enabled=False)
        both = self.both(clinic, other)
        mine = clinic.examine(agent_id=clinic.stack.agent_id, AGENT_ID=both)
        assert mine.of("failed") == set()
        assert clinic.examine(agent_id=other, AGENT_ID=both).of("failed") == {
            "auto_terminate_backend"
        }

    def test_an_agent_that_is_none_of_them_is_an_error(self, clinic: Clinic) -> None:
        with pytest.raises(EventError, match="none of AGENT_ID's"):
            invoke(lambda_handler, clinic.stack.environment(), {**EVENT, "agent_id": "stranger"})


class TestSwitches:
    def test_auto_terminate_off_in_the_backend(self, clinic: Clinic) -> None:
        clinic.stack.operator.set_auto_terminate(clinic.stack.agent_id, enabled=False)
        clinic.examine().only(
            "auto_terminate_backend",
            "off",
            "in the backend",
            skipped={"marked_instances"},
        )
