"""`make sam-memory`: what the functions need of the template's `MemorySize`, measured in Lambda's container.

SAM gives the container the function's memory as its limit, and the kernel ends what needs more. Two figures are
taken: the most that the function's process had in memory (`VmHWM` of proc_pid_status(5)), and the control
group's own peak, which holds SAM's emulator and the kernel's cache of files as well (`memory.peak`, in cgroup v1
`memory.max_usage_in_bytes`; https://docs.kernel.org/admin-guide/cgroup-v2.html). AWS is the EC2 emulator, since
moto cannot hold such an estate.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backend.client import OperatorClient
from backend.server import run_backend
from local.endings import end_tidily
from local.events import HOUSEKEEPING, TERMINATION
from local.sam import files
from local.sam.__main__ import run
from local.sam.engine import client
from local.sam.service import start_lambda
from local.stack import MANAGED, PARAMETER, REGION, TABLE, Stack
from local.up import AGENT, reachable
from tools.ec2_emulator import Emulator

FIGURES = files.ROOT / "docs" / "performance" / "memory.json"
BURST = 500
IMAGES, SNAPSHOTS, OF_EACH_VOLUME = 2_000, 10_000, 4
ASK = """
cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes
cat /proc/[0-9]*/status
"""
MEGABYTE = 1 << 20


def measure() -> Iterator[dict[str, Any]]:
    """Each case in a container of its own, which is new."""
    yield _case(f"nothing listed ({TERMINATION})", TERMINATION, {})
    yield _case(f"a burst of {BURST} terminations", TERMINATION, {}, zombies=BURST)
    estate = f"{IMAGES} images and {SNAPSHOTS} snapshots"
    yield _case(f"housekeeping of {estate}", HOUSEKEEPING, {}, estate=True)
    yield _case(f"a dry run over {estate}", HOUSEKEEPING, {"dry_run": True}, estate=True)


def _case(
    what: str, function: str, event: object, *, zombies: int = 0, estate: bool = False
) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="spot-sam-") as folder,
        _account() as (aws, stack),
        reachable(stack, None),
    ):
        ids = [aws.fleet.launch(zone=f"{REGION}a", tags=MANAGED) for _ in range(zombies)]
        if ids:
            stack.operator.add_zombies(AGENT, ids, age_seconds=400)
        if estate:
            _fill(aws)
        configuration = files.write(Path(folder), stack.environment())
        with start_lambda(function, configuration) as service:
            returned = service.invoke(event)
            figures = _figures(function)
    counts = {name: value for name, value in returned.items() if isinstance(value, int) and value}
    error = returned.get("errorMessage")
    return {"what": what, "function": function, **figures, "returned": error or counts}


@contextmanager
def _account() -> Iterator[tuple[Emulator, Stack]]:
    """The emulator as AWS, and a backend with one agent."""
    with (
        Emulator(region=REGION) as aws,
        run_backend("sqlite:///:memory:") as backend_url,
        OperatorClient(backend_url) as operator,
    ):
        account = operator.create_client("measured")
        operator.create_agent(account.client_id, REGION, agent_id=AGENT)
        aws.parameters[PARAMETER] = account.token
        aws.tables.create(TABLE)
        yield aws, Stack(aws.url, backend_url, operator, account, AGENT)


def _fill(aws: Emulator) -> None:
    """An estate that is all ours and old; of each volume and source the newest ones stay."""
    for number in range(IMAGES):
        source = f"i-{number // OF_EACH_VOLUME:017x}"
        aws.library.add_image(age_days=60, tags={**MANAGED, "SourceInstance": source})
    for number in range(SNAPSHOTS - len(aws.library.snapshots)):
        volume = f"vol-{number // OF_EACH_VOLUME:017x}"
        aws.library.add_snapshot(age_days=60, tags=MANAGED, volume_id=volume)


def _figures(function: str) -> dict[str, Any]:
    """What the function's container has needed till now, in MiB."""
    with contextlib.closing(client()) as engine:
        label = f"sam.cli.function.name={function}"
        (container,) = engine.containers.list(filters={"label": label})
        limit = container.attrs["HostConfig"]["Memory"]
        told = container.exec_run(["sh", "-c", ASK], stderr=False).output.decode()
    peak = re.search(r"^\d+$", told, re.MULTILINE)
    processes = re.findall(r"^VmHWM:\s+(\d+) kB$", told, re.MULTILINE)
    if peak is None or not processes:
        raise RuntimeError(f"the container told nothing of its memory: {told}")
    return {
        "limit_mib": limit // MEGABYTE,
        "process_peak_mib": max(map(int, processes)) // 1024,
        "container_peak_mib": int(peak[0]) // MEGABYTE,
    }


def main() -> int:
    """Measure, show, and write the figures down."""
    end_tidily()
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table("what", "limit", "function's process", "whole container", "returned")
    cases = []
    for case in measure():
        cases.append(case)
        shown = [f"{case[name]} MiB" for name in FIGURE_NAMES]
        table.add_row(case["what"], *shown, json.dumps(case["returned"]))
    console.print(table)
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(cases, indent=2) + "\n")
    return 0


FIGURE_NAMES = ("limit_mib", "process_peak_mib", "container_peak_mib")

if __name__ == "__main__":
    inside = "--here" in sys.argv[1:]
    raise SystemExit(main() if inside else run("local.sam.memory", ["--here"]))
