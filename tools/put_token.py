"""The client token into SSM, past the shell's history: it is read from the keyboard, or from a pipe."""

from __future__ import annotations

import getpass
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.stack_config import StackConfig, StackConfigError

OF_EACH_AGENT = "{agent_id}"


def parameter_name(config: StackConfig, agent: str) -> str:
    """The parameter that the stack reads; of an agent where each has its own.

    Raises:
        StackConfigError: it is not said of which agent, or the stack has no such one.
    """
    name = config.parameters["ClientTokenParameter"]
    if OF_EACH_AGENT not in name:
        return name
    agents = [pair.partition("=")[0] for pair in config.parameters["AgentId"].split(",")]
    agent = agent or (agents[0] if len(agents) == 1 else "")
    if agent not in agents:
        raise StackConfigError(f"{name}: say whose token, by AGENT=...: {', '.join(agents)}")
    return name.replace(OF_EACH_AGENT, agent)


def put_token(config: StackConfig, agent: str) -> None:
    """Create or replace the parameter; under the stack's own key, where it has one.

    Raises:
        StackConfigError: as above; or the token is empty or has blanks in it, or AWS did not take it.
    """
    name = parameter_name(config, agent)
    session = boto3.Session(region_name=config.region)
    if session.get_credentials() is None:
        raise StackConfigError("this shell has no AWS credentials: nothing was asked or changed")
    prompt = f"client token for {name} in {config.region} (it is not shown): "
    token = (getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not token or not token.isprintable() or " " in token:
        raise StackConfigError("that is no token: nothing was changed")
    key = config.parameters.get("TokenKmsKeyArn", "")
    given: dict[str, Any] = {"KeyId": key} if key else {}
    try:
        answer = session.client("ssm").put_parameter(
            Name=name, Value=token, Type="SecureString", Overwrite=True, **given
        )
    except (BotoCoreError, ClientError) as error:
        raise StackConfigError(f"{name} was not put: {error}") from None
    print(f"{name} in {config.region}: version {answer['Version']}")
