"""Faults of the settings and of the switches, and another agent of the same stack."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

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
            "stack's parameters",
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
            "stack's parameters",
            skipped=set(CHECKS) - {"settings"},
        )

    def test_a_schedule_s_name_in_another_form_is_a_bad_variable(self, clinic: Clinic) -> None:
        told = clinic.examine(SCHEDULE_NAME="no-group")
        told.only(
            "settings",
            "SCHEDULE_NAME",
            "stops at every event",
            "stack's parameters",
            skipped=set(CHECKS) - {"settings", "last_run"},
        )


class TestTheAgentOfTheEvent:
    """A stack that serves several agents: each has its own row, token, schedule."""

    PATTERN = "/termination-{agent_id}"

    @pytest.fixture
    def other(self, clinic: Clinic) -> str:
        """A healthy second agent of the same client, whose id no schedule could be named by."""
        number = next(_NUMBERS)
        other = clinic.stack.operator.create_agent(
            clinic.stack.client.client_id, agent_id=f"agent:{number}@home"
        )
        clinic.schedule = f"{clinic.function}/termination-agent-{number}-home"
        clinic.make_schedule()
        clinic.schedule = clinic.function + self.PATTERN
        return other

    def test_it_is_examined_with_its_own_token_and_schedule(
        self, clinic: Clinic, other: str
    ) -> None:
        told = clinic.examine(agent_id=other, CLIENT_TOKEN_PARAMETER="/tokens/{agent_id}")
        assert told.of("failed") == {"token"}
        assert f"/tokens/{other}: " in told.checks["token"]["found"]
        told = clinic.examine(agent_id=other)
        assert told.of("ok") == set(CHECKS), told.invocation.returned["text"]
        assert f"agent {other} in us-east-1" in told.invocation.returned["text"]
        assert "termination-agent-" in told.checks["schedule"]["found"]

    def test_its_own_switch_in_the_backend(self, clinic: Clinic, other: str) -> None:
        clinic.stack.operator.set_auto_terminate(other, enabled=False)
        clinic.examine(agent_id=other).only(
            "auto_terminate_backend",
            "off",
            "for this agent",
            "agent's",
            skipped={"marked_instances"},
        )

    def test_the_other_one_s_disabled_schedule(self, clinic: Clinic, other: str) -> None:
        """The stack's first agent has no schedule here: that does not concern the second."""
        clinic.examine().only(
            "schedule",
            f"there is no schedule {clinic.function}/termination-{clinic.stack.agent_id}",
            "does not serve this agent",
            "name the agent",
            skipped=set(),
        )
        assert clinic.examine(agent_id=other).of("failed") == set()

    def test_under_bad_settings_its_schedule_is_examined_all_the_same(
        self, clinic: Clinic, other: str
    ) -> None:
        told = clinic.examine(agent_id=other, DRY_RUN="perhaps")
        assert told.of("ok") == {"schedule", "last_run"}

    @pytest.mark.parametrize("bad", ["", "two words", 5, None])
    def test_a_bad_id_in_the_event_is_named(self, clinic: Clinic, bad: Any) -> None:
        clinic.schedule = clinic.function + self.PATTERN
        told = invoke(
            lambda_handler,
            clinic.stack.environment(SCHEDULE_NAME=clinic.schedule),
            {**EVENT, "agent_id": bad},
        ).returned
        settings, *rest = told["checks"]
        assert settings["status"] == "failed"
        assert "AGENT_ID" in settings["found"]
        assert rest


class TestSwitches:
    def test_auto_terminate_off_in_the_backend(self, clinic: Clinic) -> None:
        clinic.stack.operator.set_auto_terminate(clinic.stack.agent_id, enabled=False)
        clinic.examine().only(
            "auto_terminate_backend",
            "off",
            "in the backend",
            "agent's configuration",
            skipped={"marked_instances"},
        )

    def test_auto_terminate_off_in_the_function(self, clinic: Clinic) -> None:
        clinic.examine(AUTO_TERMINATE_ENABLED="false").only(
            "auto_terminate_function",
            "AUTO_TERMINATE_ENABLED is false",
            "deferred",
            "AutoTerminateEnabled",
            skipped=set(),
        )

    def test_a_dry_run_is_a_warning(self, clinic: Clinic) -> None:
        told = clinic.examine(DRY_RUN="true")
        assert told.of("warning") == {"dry_run"}
        assert told.invocation.returned["healthy"] is True

    def test_a_blown_fuse(self, clinic: Clinic) -> None:
        clinic.zombie(Fleet=clinic.function)
        clinic.examine(
            MAX_FLEET_PERCENT="1", REQUIRED_TAGS=f"ManagedBy=SpotOptimizer,Fleet={clinic.function}"
        ).only(
            "marked_instances",
            "1 are more than 1 % of 1 live instances",
            "MAX_FLEET_PERCENT has blown",
            "MaxFleetPercent",
            skipped=set(),
        )
