"""One version, everywhere that it is told: the wire, AWS's calls, the last lines, the stack, the changelog."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from handler import VERSION
from tests.integration.house import House
from tests.integration.world import World
from tests.template.stack import Stack, source

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = f"spot-cleanup/{VERSION}"


@pytest.fixture
def to_aws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The User-Agent of each call of AWS."""
    sent: list[str] = []
    real = URLLib3Session.send

    def send(self: URLLib3Session, request: Any) -> Any:
        said = request.headers["User-Agent"]
        sent.append(said.decode() if isinstance(said, bytes) else said)
        return real(self, request)

    monkeypatch.setattr(URLLib3Session, "send", send)
    return sent


def test_a_run_tells_it_to_the_backend_to_aws_and_in_its_last_line(
    world: World, to_aws: list[str]
) -> None:
    world.zombies()
    done = world.run()
    assert done.returned["terminated"] == 1
    assert {one.call for one in world.wiretap.requests} == {
        "instances-to-terminate",
        "termination-report",
    }
    assert {one.headers["user-agent"] for one in world.wiretap.requests} == {PRODUCT}
    assert len(to_aws) >= 3
    assert all(PRODUCT in said.split() for said in to_aws)
    assert done.lines[-1]["version"] == VERSION


def test_housekeeping_tells_it_too(world: World, to_aws: list[str]) -> None:
    house = House(world)
    house.image()
    done = house.run()
    assert {one.headers["user-agent"] for one in world.wiretap.requests} == {PRODUCT}
    assert to_aws
    assert all(PRODUCT in said.split() for said in to_aws)
    assert done.lines[-1]["message"] == "housekeeping finished"
    assert done.lines[-1]["version"] == VERSION


def test_the_stack_tells_it_in_an_output_and_on_its_functions() -> None:
    published = source()["Metadata"]["AWS::ServerlessRepo::Application"]
    assert published["SemanticVersion"] == VERSION
    stack = Stack.of(HousekeepingEnabled="true")
    assert stack.outputs["Version"]["Value"] == VERSION
    for function in ("TerminationFunction", "HousekeepingFunction"):
        assert {"Key": "Version", "Value": VERSION} in stack.properties(function)["Tags"]


def test_the_changelog_has_it_first_after_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)}(?: - \d{{4}}-\d\d-\d\d)?", headings[1])
