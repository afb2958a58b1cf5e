"""Would IAM allow this request? Asked of @cloud-copilot/iam-simulate, which nobody here wrote.

It evaluates with AWS's own tables of what each action supports: a condition on a key that the action does not
have never holds, a resource of a type that the action does not take is an error. moto ignores conditions, and
no package of Python's that is kept evaluates a request.

What it cannot express is written another way, the same in policy and request:

- `kms:EncryptionContext:*` it drops. It is given as a tag of the principal, another key of text.
- AWS's public parameters have no account in their ARN, which it refuses. They are given one that nobody has.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HERE = Path(__file__).resolve().parents[1] / "iam"
CACHE = HERE.parents[1] / ".cache" / "iam-simulate"
ACCOUNT = "123456789012"
REWRITTEN = (
    ("kms:EncryptionContext:", "aws:PrincipalTag/"),
    ("::parameter/aws/", ":000000000000:parameter/aws/"),
)


class CannotJudgeError(Exception):
    """The policies, or the request, are not what IAM knows; the message is the simulator's."""


@dataclass(frozen=True)
class Request:
    """One call as IAM sees it: a resource of each type that the action needs is a request."""

    action: str
    resource: str = "*"
    context: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """The answer.

    Attributes:
        allowed: whether IAM lets it through.
        ignored: context keys that this action does not have.
    """

    allowed: bool
    ignored: tuple[str, ...]


def judge(policies: Iterable[Mapping[str, Any]], request: Request) -> Judgement:
    """Ask the simulator.

    Raises:
        CannotJudgeError: something is not IAM's, such as a resource that the action does not take.
    """
    text = json.dumps(
        {
            "policies": list(policies),
            "action": request.action,
            "resource": request.resource,
            "context": dict(request.context),
        }
    )
    for ours, its in REWRITTEN:
        text = text.replace(ours, its)
    answer = json.loads(_simulator().ask(text))
    if answer["error"]:
        raise CannotJudgeError(f"{request}: {answer['error']}")
    return Judgement(answer["result"] == "Allowed", tuple(answer["ignored"]))


def is_allowed(policies: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """Whether IAM lets this through under a role's policies."""
    return judge(policies, request).allowed


@dataclass(frozen=True)
class _Simulator:
    process: subprocess.Popen[str]

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


@cache
def _simulator() -> _Simulator:
    """One process for all of a test process's questions."""
    if not (shutil.which("node") and shutil.which("npm")):
        why = "needs node and npm, for @cloud-copilot/iam-simulate"
        if os.environ.get("REQUIRE_NODE"):
            pytest.fail(why)
        pytest.skip(why)
    library = _installed() / "node_modules/@cloud-copilot/iam-simulate/dist/esm/index.js"
    process = subprocess.Popen(
        ["node", str(HERE / "judge.mjs"), str(library), ACCOUNT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    simulator = _Simulator(process)
    atexit.register(simulator.end)
    return simulator


def _installed() -> Path:
    """The locked packages, once for each state of the lock; several processes may ask at once."""
    lock = HERE / "package-lock.json"
    folder = CACHE / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, unfinished)
            subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=unfinished,
                check=True,
                capture_output=True,
            )
            unfinished.rename(folder)
    return folder
