"""`make deploy`, `dry-run`, `destroy` and `token`: SAM's commands for one block of samconfig.toml."""

from __future__ import annotations

import argparse
import subprocess
import sys

from tools.put_token import put_token
from tools.stack_config import StackConfig, StackConfigError


def deploy(config: StackConfig) -> list[list[str]]:
    """Build, and deploy what was built."""
    name = config.filled_in().name
    return [
        ["sam", "build", "--config-env", name],
        ["sam", "deploy", "--config-env", name],
    ]


def dry_run(config: StackConfig) -> list[list[str]]:
    """The same beside it, as a stack that only plans; its service's name is its own, being the stack's."""
    dry = config.filled_in().dry_run()
    overrides = [f'{key}="{value}"' for key, value in dry.parameters.items()]
    return [
        ["sam", "build", "--config-env", dry.name],
        [
            *("sam", "deploy", "--config-env", dry.name, "--stack-name", dry.stack),
            *("--s3-prefix", dry.stack, "--parameter-overrides", *overrides),
        ],
    ]


def destroy(config: StackConfig) -> list[list[str]]:
    """SAM asks first."""
    return [["sam", "delete", "--config-env", config.name]]


COMMANDS = {"deploy": deploy, "dry-run": dry_run, "destroy": destroy}


def main() -> int:
    """Parse the command line; 2 if the file does not say enough, else what SAM ends with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, "token"])
    parser.add_argument("name", help="a block of samconfig.toml")
    parser.add_argument("--agent", default="", help="whose token, where each agent has its own")
    arguments = parser.parse_args()
    try:
        config = StackConfig.read(arguments.name)
        if arguments.command == "token":
            put_token(config.filled_in(), arguments.agent)
            return 0
        commands = COMMANDS[arguments.command](config)
    except StackConfigError as error:
        print(error, file=sys.stderr)
        return 2
    for command in commands:
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
