"""The container engine that `sam local` talks to: this machine's, or one of its own for a while.

Of its own: a bare Linux machine with Debian's packages `docker.io`, `iptables` and `iproute2`, as root. The
engine then runs in mount, network and process namespaces that end with it, so that it changes neither
the machine's network nor its mounts, and nothing of it is left even when this process is killed: the
kernel ends the first process of the namespace, and with that all others. Nothing in there reaches
another machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker  # type: ignore[import-untyped] # it has no types
import requests
from docker.errors import DockerException  # type: ignore[import-untyped]

from local.sam.base_image import NAME, TAG, VARIABLES, base_image

PROGRAMS = ("dockerd", "iptables", "ip", "unshare", "nsenter", "mount")
PACKAGES = "docker.io iptables iproute2"
STARTS_WITHIN = 60.0
"""Seconds."""
UNREACHABLE = (DockerException, requests.RequestException, OSError)
SCRIPT = """
mount -t tmpfs tmpfs /run
for place in etc opt; do
  mkdir -p "$0/$place/upper" "$0/$place/work"
  mount -t overlay overlay -o "lowerdir=/$place,upperdir=$0/$place/upper,workdir=$0/$place/work" "/$place"
done
ip link set lo up
exec dockerd --data-root "$0/data" --exec-root "$0/exec" --pidfile "$0/docker.pid" --host "unix://$0/docker.sock" \
  --group root --cgroup-parent "$1" --storage-driver overlay2 --ip6tables=false
"""
"""What the engine and containerd write outside their own folders (/run/containerd, /etc/docker/key.json,
/opt/containerd) stays in the namespace as well. The relative control group keeps containers within this process'
own limits."""


class NoEngineError(Exception):
    """Containers cannot be run here; the message says what is lacking."""


@dataclass(frozen=True)
class Engine:
    """A container engine.

    Attributes:
        what: what it is, for a person.
        variables: what a process that uses it needs in its environment.
        enter: put before a command, it runs the command where the containers' network is.
    """

    what: str
    variables: Mapping[str, str]
    enter: tuple[str, ...] = ()


def client() -> docker.DockerClient:
    """A client of the engine that this process' environment names, as SAM makes it."""
    return docker.from_env(timeout=30)


def running_engine() -> Engine | None:
    """The engine that is up on this machine, if there is one: SAM looks for it in the same way."""
    try:
        with contextlib.closing(docker.from_env(timeout=3)) as there:
            version = there.version()
    except UNREACHABLE:
        return None
    return Engine(f"{version['Platform']['Name'] or 'Docker'} {version['Version']}".strip(), {})


def why_no_own_engine() -> str | None:
    """What this machine lacks for an engine of its own; `None` if it lacks nothing."""
    if os.name != "posix" or not hasattr(os, "geteuid") or not Path("/proc/self/ns").exists():
        return "no container engine answers (start Docker Desktop), and this is not Linux"
    if os.geteuid() != 0:
        return "no container engine answers (start Docker), and only root can start one here"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"no container engine answers, and {', '.join(lacking)} is lacking: apt-get install {PACKAGES}"
    return None


@contextmanager
def any_engine() -> Iterator[Engine]:
    """The machine's engine, or one of its own while the block runs.

    Raises:
        NoEngineError: there is none, and none can be started.
    """
    there = running_engine()
    if there is not None:
        yield there
        return
    lacking = why_no_own_engine()
    if lacking is not None:
        raise NoEngineError(lacking)
    with own_engine() as engine:
        yield engine


@contextmanager
def own_engine() -> Iterator[Engine]:
    """An engine with the base image in it; it, its containers and its files end with the block."""
    archive = base_image()
    group = f"spot-sam-local-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="spot-engine-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / "log").open("wb") as log:
            started = subprocess.Popen(
                [
                    *("unshare", "-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc"),
                    *("sh", "-ec", SCRIPT, str(folder), group),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "TMPDIR": name,
                },  # containerd leaves its stacks there when it is slow to end
                start_new_session=True,  # Ctrl-C is for this process, which ends the engine last
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread of this process holds a lock there
            )
        try:
            pid = _wait_until_up(started, folder)
            _load(archive, f"unix://{folder}/docker.sock")
            yield Engine(
                "an engine of its own (dockerd in a namespace)",
                {"DOCKER_HOST": f"unix://{folder}/docker.sock"},
                ("nsenter", f"--target={pid}", "--net", "--"),
            )
        finally:
            _end(started)
            _remove_groups(group)


def _die_with_parent() -> None:
    """Linux ends the process when its parent ends, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _wait_until_up(started: subprocess.Popen[bytes], folder: Path) -> int:
    """The process that bears the namespaces, once the engine answers."""
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until and started.poll() is None:
        try:
            with contextlib.closing(
                docker.DockerClient(base_url=f"unix://{folder}/docker.sock", timeout=5)
            ) as there:
                there.ping()
        except UNREACHABLE:
            time.sleep(0.1)
            continue
        return _children(started)[0]
    told = (folder / "log").read_text(errors="replace").splitlines()[-5:]
    raise NoEngineError("the container engine did not start: " + "\n".join(told))


def _children(started: subprocess.Popen[bytes]) -> list[int]:
    try:
        told = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in told.split()]


def _end(started: subprocess.Popen[bytes]) -> None:
    """First the namespace's first process, with which all others end; `unshare` then reaps it."""
    for pid in _children(started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        started.wait(10)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()


def _load(archive: Path, base_url: str) -> None:
    with contextlib.closing(docker.DockerClient(base_url=base_url, timeout=120)) as there:
        changes = [f"ENV {name}={value}" for name, value in VARIABLES.items()]
        changes.append("WORKDIR /var/task")
        there.api.import_image_from_file(str(archive), repository=NAME, tag=TAG, changes=changes)


def _remove_groups(name: str) -> None:
    """The kernel keeps a control group without processes; cgroup v1 has one in each controller."""
    for _ in range(20):
        found = [path for path in Path("/sys/fs/cgroup").rglob(name) if path.is_dir()]
        for group in found:
            folders = [path for path in group.rglob("*") if path.is_dir()]
            for path in [*sorted(folders, reverse=True), group]:
                with contextlib.suppress(OSError):
                    path.rmdir()
        if not found:
            return
        time.sleep(0.1)
