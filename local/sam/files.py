"""What `sam local` needs to run the functions on a local stack, as files in a folder.

`container.json` holds the container's variables. SAM passes *any* variable of such a file, but in debug mode
only (`-d PORT`; nothing waits for a debugger); `--env-vars` passes those alone that the template names, and
the AWS credentials not at all: these it takes from the shell. `samconfig.toml` stands in for the project's
own, so that a command needs no more than a function and an event.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local.reach import HOST
from local.sam.base_image import ARCHITECTURE
from local.stack import CREDENTIALS

ROOT = Path(__file__).parents[2]
BUILT = Path("build") / "sam"
"""Where `make sam-build` puts the functions for this machine; `.aws-sam` is left to `make deploy`."""
LOOPBACK = {"127.0.0.1", "localhost"}


def container_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The function's variables as a container needs them: this machine has another name there."""
    seen = {name: _seen_from_container(value) for name, value in variables.items()}
    # The template's own would look for the stack's schedule, and `sam local` has none.
    return {**seen, "SCHEDULE_NAME": ""}


def parameter_overrides(agent_ids: str) -> list[str]:
    """The template's parameters for a local run.

    Whatever has to do with the stack stands in the container's variables; what these did not name would
    reach nobody.
    """
    return [
        f"Architecture={ARCHITECTURE}",
        f"AgentId={agent_ids}",
        "ServerUrl=https://backend.invalid",
        "ClientTokenParameter=/local/none",
        "HousekeepingEnabled=true",
    ]


def write(folder: Path, variables: Mapping[str, str]) -> Path:
    """Write both files for the stack with these variables; returns the configuration's path."""
    container = folder / "container.json"
    container.write_text(json.dumps(container_variables(variables), indent=2))
    invoke = {
        "template_file": str(ROOT / BUILT / "template.yaml"),
        "parameter_overrides": parameter_overrides(variables["AGENT_ID"]),
        "container_env_vars": str(container),
        "debug_port": free_port(),
        "add_host": f"{HOST}:host-gateway",
        "region": variables["AWS_REGION"],
        "layer_cache_basedir": str(folder / "layers"),
        # It is pulled all the same where it is not there.
        "skip_pull_image": True,
    }
    lines = ["version = 0.1"]
    for command in ("local_invoke", "local_start_lambda"):
        lines += [f"[default.{command}.parameters]"]
        # A JSON text, number, boolean or list of texts is TOML as well.
        lines += [f"{name} = {json.dumps(value)}" for name, value in invoke.items()]
    configuration = folder / "samconfig.toml"
    configuration.write_text("\n".join(lines) + "\n")
    return configuration


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def sam_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment that SAM itself runs in: it passes its own credentials on to the container."""
    kept = {name: v for name, v in inherited.items() if not name.startswith(("AWS_", "SAM_CLI_"))}
    return {**kept, **CREDENTIALS, "SAM_CLI_TELEMETRY": "0"}


def _seen_from_container(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        return value
    return parts._replace(netloc=f"{HOST}:{parts.port}").geturl()
