"""The Lambda runtime on this machine, without a container.

AWS's runtime interface emulator starts AWS's Python runtime client, and that one the built
function with its layer: what runs here is what would be deployed.

    with LambdaRuntime(env={"AGENT_ID": "agent-1", ...}, timeout=10) as runtime:
        result = runtime.invoke({"agent_id": "agent-1"})
        print(result.payload or result.error_message, runtime.init_ms)

Not the same as in AWS: memory is not limited, and the time limit is watched by the emulator.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import built as artifact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

TERMINATION_HANDLER = "handler.termination.lambda_handler"
FUNCTION_OF_HANDLER = {TERMINATION_HANDLER: "TerminationFunction"}

_INVOCATIONS = "/2015-03-31/functions/function/invocations"
_INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
_REPORT = re.compile(r"^REPORT RequestId: (?P<id>\S+)\t.*\n", re.MULTILINE)
_START_SECONDS = 10.0


@dataclass(frozen=True)
class Result:
    """What one call came back with: a payload or an error, never both."""

    payload: Any
    error_type: str | None
    error_message: str | None
    logs: str
    """All that was written during the call, Lambda's own lines among it."""

    @property
    def ok(self) -> bool:
        """Whether the handler returned."""
        return self.error_type is None

    @property
    def log_records(self) -> list[dict[str, Any]]:
        """The function's own JSON lines: log records and metrics."""
        records = []
        for line in self.logs.splitlines():
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict):
                    records.append(record)
        return records


class LambdaRuntime:
    """One execution environment: the first call is a cold start, later ones are warm.

    Calls are taken one after another, as one environment in Lambda does it (the emulator would
    crash on two at once); a second environment is a second `LambdaRuntime`.
    """

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        timeout: int = 55,
        handler: str = TERMINATION_HANDLER,
        built: artifact.Artifact | None = None,
        extra_path: Path | None = None,
    ) -> None:
        """Prepare, without starting anything.

        Args:
            env: the function's environment. `AWS_ENDPOINT_URL...` points it at local services.
            timeout: Lambda's time limit for one call, in whole seconds.
            handler: as in the template.
            built: the artifact to run; the one of the sources as they are now if not given.
            extra_path: a folder that is imported from before the function's own.
        """
        self._env = dict(env or {})
        self._timeout = timeout
        self._handler = handler
        self._built = built
        self._extra_path = extra_path
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._calling = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="lambda-runtime-")
        self._log = Path(self._folder.name) / "log"
        self._log.touch()
        self._kept_logs = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._kept_logs = self.logs
        self._folder.cleanup()

    @property
    def logs(self) -> str:
        """All that was written since the start, over all cold starts; still there at the end."""
        return self._kept_logs or self._log.read_text(errors="replace")

    @property
    def init_ms(self) -> float | None:
        """How long the newest cold start's initialisation took; None before the first call."""
        found = _INIT.findall(self.logs)
        return float(found[-1]) if found else None

    @property
    def cold_starts(self) -> int:
        """How often the function was initialised."""
        return len(_INIT.findall(self.logs))

    @property
    def running(self) -> bool:
        """Whether the environment is there; the next call starts it if not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the environment. The function itself is loaded by the first call."""
        for _ in range(3):  # another process may have taken a port that was free a moment ago
            self._launch()
            if self._is_listening():
                return
            self.kill()
        raise RuntimeError(f"the runtime emulator does not start:\n{self.logs}")

    def kill(self) -> None:
        """End it at once, as when its machine dies: SIGKILL, whatever it is doing.

        A call under way in another thread comes back with the error type `Killed`.
        """
        process = self._process
        if process is None:
            return
        self._process = None
        # The runtime is in a process group of its own and would outlive the emulator. It is
        # stopped first, so that the emulator cannot answer for it and it does no more by itself.
        children = _descendants(process.pid)
        for pid, number in [
            *((child, signal.SIGSTOP) for child in children),
            (process.pid, signal.SIGKILL),
            *((child, signal.SIGKILL) for child in children),
        ]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        process.wait()

    def invoke(self, event: Any) -> Result:
        """Call the function with the event and wait for the end."""
        with self._calling:
            if not self.running:
                self.start()
            process = self._process
            begin = self._log.stat().st_size
            try:
                status, body = self._post(json.dumps(event))
            except (OSError, http.client.HTTPException) as error:
                return Result(None, "Killed", str(error), self._written_since(begin))
            if self._process is not process:
                return Result(None, "Killed", body, self._written_since(begin))
            return _result(status, body, self._finished_since(begin))

    def _post(self, body: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=self._timeout + 2 * _START_SECONDS
        )
        try:
            connection.request("POST", _INVOCATIONS, body=body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def _launch(self) -> None:
        built = self._built or artifact.build()
        self._port, runtime_api = _free_ports()
        task = built.function(FUNCTION_OF_HANDLER.get(self._handler, "TerminationFunction"))
        command = [str(artifact.emulator())]
        # Without both addresses it listens on every interface.
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{runtime_api}"]
        command += [str(artifact.runtime_python()), "-m", "awslambdaric", self._handler]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment(task, built.layer),
                cwd=task,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self, task: Path, layer: Path) -> dict[str, str]:
        # Only what Lambda would set: nothing of this shell may make the function work.
        extra = [self._extra_path] if self._extra_path else []
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(task),
            "PYTHONPATH": os.pathsep.join(map(str, [*extra, task, layer / "python"])),
            # In Lambda both folders are read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_FUNCTION_NAME": "termination",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self._timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            **self._env,
        }

    def _is_listening(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while self.running and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return True
            time.sleep(0.01)
        return False

    def _written_since(self, begin: int) -> str:
        with self._log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")

    def _finished_since(self, begin: int) -> str:
        # The answer comes a moment before the call's last line.
        deadline = time.monotonic() + 1
        while not _REPORT.search(logs := self._written_since(begin)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        return logs


def _result(status: int, body: str, logs: str) -> Result:
    try:
        payload = json.loads(body)
    except ValueError:
        # The emulator says it in plain words: the time limit, or a function that cannot start.
        kind = "Sandbox.Timedout" if body.startswith("Task timed out") else "Runtime.Unknown"
        return Result(None, kind, body, logs)
    if isinstance(payload, dict) and "errorMessage" in payload:
        kind = str(payload.get("errorType", "Runtime.Unknown"))
        return Result(None, kind, str(payload["errorMessage"]), logs)
    if status != http.HTTPStatus.OK:
        return Result(None, "Runtime.Unknown", body, logs)
    return Result(payload, None, None, logs)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _descendants(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        # A program with several threads may have forked from any of them.
        for thread in Path(f"/proc/{pid}/task").iterdir():
            listed += " " + (thread / "children").read_text()
    except OSError:
        return []
    children = sorted(set(map(int, listed.split())))
    return [grandchild for child in children for grandchild in _descendants(child)] + children
