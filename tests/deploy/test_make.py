"""The make targets call SAM as they say: a program that only writes down its arguments stands in for it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from samcli.cli.types import CfnParameterOverridesType

from tests.template.stack import ROOT, Stack
from tests.template.test_samconfig import ENVIRONMENTS, FILLED_IN, filled_in, stack_of
from tools import put_token, stacks
from tools.stack_config import StackConfig, StackConfigError

SAM = """#!/usr/bin/env -S python -SI
import json, sys; print(json.dumps(sys.argv[1:]))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that make and the tools read, samconfig.toml filled in, and the stand-in for SAM."""
    for name in ("Makefile", "tools", "template.yaml", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    # A tool finds samconfig.toml beside itself, so it must be here itself.
    (tmp_path / "tools").unlink()
    (tmp_path / "tools").mkdir()
    for file in (ROOT / "tools").glob("*.py"):
        (tmp_path / "tools" / file.name).write_text(file.read_text())
    (tmp_path / "samconfig.toml").write_text(filled_in((ROOT / "samconfig.toml").read_text()))
    sam = tmp_path / "bin" / "sam"
    sam.parent.mkdir()
    sam.write_text(SAM)
    sam.chmod(0o755)
    return tmp_path


def outside_make() -> dict[str, str]:
    """The environment without what `make test` itself hands down: a make below another talks of directories."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    }


def run(checkout: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    paths = [str(checkout / "bin"), str(ROOT / ".venv" / "bin"), os.environ["PATH"]]
    return subprocess.run(
        # The set-up is taken as done, however old it is.
        ["make", "-o", "setup", f"PATH={os.pathsep.join(paths)}", *arguments],
        cwd=checkout,
        env={**outside_make(), **more},
        capture_output=True,
        text=True,
        check=False,
    )


def make(checkout: Path, *arguments: str) -> list[list[str]]:
    """What `sam` was called with."""
    done = run(checkout, *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


def test_each_target_calls_sam_as_it_says(checkout: Path) -> None:
    of = "REGION=eu-west-1"
    assert make(checkout, "deploy", of) == [
        ["build", "--config-env", "eu-west-1"],
        ["deploy", "--config-env", "eu-west-1"],
    ]
    config = StackConfig.read("eu-west-1", checkout / "samconfig.toml")
    assert [["sam", *call] for call in make(checkout, "dry-run", of)] == stacks.dry_run(config)
    # SAM asks: there is no --no-prompts.
    assert make(checkout, "destroy", of) == [["delete", "--config-env", "eu-west-1"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_dry_run_differs_in_nothing_but_what_keeps_it_apart(
    tmp_path: Path, environment: str
) -> None:
    file = tmp_path / "samconfig.toml"
    file.write_text(filled_in((ROOT / "samconfig.toml").read_text()))
    build, deploy = stacks.dry_run(StackConfig.read(environment, file))
    assert build == ["sam", "build", "--config-env", environment]
    assert option(deploy, "--config-env") == environment
    name = option(deploy, "--stack-name")
    assert option(deploy, "--s3-prefix") == name
    overrides = tuple(deploy[deploy.index("--parameter-overrides") + 1 :])
    parameters = CfnParameterOverridesType().convert(overrides, None, None)  # as SAM reads them
    real = stack_of(environment)
    dry = Stack.of(name, real.region, **parameters)
    assert dry.name == f"{real.name}-dry-run"
    differ = {k for k, v in real.parameters.items() if dry.parameters[k] != v}
    assert differ - {"AlarmEmail"} == {"DryRun"}
    variables = [one.environment() for one in (real, dry)]
    assert [v["DRY_RUN"] for v in variables] == ["false", "true"]
    assert len({v["POWERTOOLS_SERVICE_NAME"] for v in variables}) == 2
    assert not dry.of_type("AWS::SNS::Subscription")


@pytest.mark.parametrize("target", ["deploy", "dry-run", "destroy", "token"])
def test_what_a_target_cannot_use_ends_it_before_anything_is_done(
    checkout: Path, target: str
) -> None:
    """A stack that is not known; a block that is not filled in, which only `destroy` takes."""
    done = run(checkout, target, "REGION=mars")
    assert done.returncode != 0
    assert f"there are {', '.join(ENVIRONMENTS)}" in done.stderr
    assert not done.stdout
    (checkout / "samconfig.toml").write_text((ROOT / "samconfig.toml").read_text())
    done = run(checkout, target, "REGION=eu-west-1")
    assert (done.returncode == 0) == (target == "destroy")
    assert bool(done.stdout) == (target == "destroy")
    assert ("AgentId=<agent id>" in done.stderr) == (target != "destroy")


@pytest.mark.parametrize("region", ["default", ""])
def test_what_is_no_stack_lists_the_known_ones(region: str) -> None:
    with pytest.raises(StackConfigError, match=f"there are {', '.join(ENVIRONMENTS)}"):
        StackConfig.read(region)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_placeholders_are_refused_by_their_names(environment: str) -> None:
    with pytest.raises(StackConfigError) as told:
        StackConfig.read(environment).filled_in()
    for part in (f"[{environment}.global.parameters]", "AgentId=<agent id>", "ServerUrl=<"):
        assert part in str(told.value)


def test_a_value_that_sam_would_cut_off_at_a_blank_is_refused(tmp_path: Path) -> None:
    """And with it every agent that comes after."""
    text = filled_in((ROOT / "samconfig.toml").read_text())
    file = tmp_path / "samconfig.toml"
    file.write_text(text.replace(FILLED_IN["<logical id>"], "web 2,agent-9"))
    with pytest.raises(StackConfigError, match="AgentId=agent-1,agent-2=web 2,agent-9"):
        StackConfig.read("eu-west-1", file).filled_in(file)
    file.write_text(
        text.replace('"AgentId=agent-1,', '"AgentId=\\"web 1,').replace('b-2"', 'b-2\\""')
    )
    quoted = StackConfig.read("eu-west-1", file).filled_in(file)
    assert quoted.parameters["AgentId"].startswith("web 1,")
    assert '"' not in quoted.parameters["AgentId"]


# ---------------------------------------------------------------- the token


def config(name: str, agents: str = "agent-1") -> StackConfig:
    return StackConfig(
        "us-east-1", "spot", "us-east-1", {"ClientTokenParameter": name, "AgentId": agents}
    )


@pytest.mark.parametrize(
    ("name", "agents", "agent", "parameter"),
    [
        ("/spot/token", "a,b", "", "/spot/token"),
        ("/spot/{agent_id}/token", "a=web", "", "/spot/a/token"),
        ("/spot/{agent_id}/token", "a=web,b", "b", "/spot/b/token"),
    ],
)
def test_the_token_goes_where_the_stack_reads_it(
    name: str, agents: str, agent: str, parameter: str
) -> None:
    assert put_token.parameter_name(config(name, agents), agent) == parameter


@pytest.mark.parametrize("agent", ["", "c", "web"])
def test_it_is_asked_whose_token_where_each_agent_has_one(agent: str) -> None:
    with pytest.raises(StackConfigError, match=r"AGENT=\.\.\.: a, b"):
        put_token.parameter_name(config("/spot/{agent_id}/token", "a=web,b"), agent)


def test_a_token_is_put_and_replaced_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock_aws():
        for token in ("s3cret", "n3w"):
            monkeypatch.setattr("sys.stdin", FakeTerminal())
            monkeypatch.setattr("getpass.getpass", lambda _, answer=token: answer)
            put_token.put_token(config("/spot/token"), "")
        ssm = boto3.client("ssm", region_name="us-east-1")
        kept = ssm.get_parameter(Name="/spot/token", WithDecryption=True)["Parameter"]
    assert (kept["Value"], kept["Type"], kept["Version"]) == ("n3w", "SecureString", 2)
    shown = capsys.readouterr()
    assert "s3cret" not in shown.out + shown.err
    assert "version 2" in shown.out


def test_without_credentials_no_token_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("asked"))
    monkeypatch.setattr("sys.stdin", FakeTerminal())
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda _: None)
    with pytest.raises(StackConfigError, match="no AWS credentials"):
        put_token.put_token(config("/spot/token"), "")


def test_what_aws_refuses_is_said_in_one_line_without_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", FakeTerminal())
    monkeypatch.setattr("getpass.getpass", lambda _: "s3cret")
    with mock_aws(), pytest.raises(StackConfigError, match="/aws/token was not put: ") as told:
        put_token.put_token(config("/aws/token"), "")
    assert "s3cret" not in str(told.value)


class FakeTerminal:
    """Somebody is at the keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("typed", ["", "two words"])
def test_what_is_no_token_changes_nothing(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("sys.stdin", FakeTerminal())
    monkeypatch.setattr("getpass.getpass", lambda _: typed)
    with mock_aws(), pytest.raises(StackConfigError, match="nothing was changed"):
        put_token.put_token(config("/spot/token"), "")
