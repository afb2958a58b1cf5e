"""The emulator as tests use it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tools.ec2_emulator.buckets import Buckets
from tools.ec2_emulator.calls import CallLog
from tools.ec2_emulator.clock import Clock, system_clock
from tools.ec2_emulator.dynamodb import Tables
from tools.ec2_emulator.faults import Faults
from tools.ec2_emulator.iam import Policy
from tools.ec2_emulator.library import Library
from tools.ec2_emulator.router import Answer, answer
from tools.ec2_emulator.server import Server
from tools.ec2_emulator.ssm import Parameters
from tools.ec2_emulator.state import Fleet
from tools.ec2_emulator.trail import Trail
from tools.ec2_emulator.world import Quirks, World


class Emulator:
    """AWS for one account and region on a loopback port, until closed.

    One server lasts for many tests: `reset` gives it a new world. A request that is still under way then
    ends in the old one.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        account: str = "123456789012",
        clock: Clock = system_clock,
        seed: int = 0,
    ) -> None:
        self.region = region
        self.account = account
        self._clock = clock
        self._seed = seed
        self.world = self._new_world()
        self._server = Server(self._respond)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.world.ended.set()
        self._server.close()

    def reset(self, *, clock: Clock | None = None, seed: int | None = None) -> None:
        """Forget everything: fleet, calls, faults and settings."""
        self._clock = self._clock if clock is None else clock
        self._seed = self._seed if seed is None else seed
        old, self.world = self.world, self._new_world()
        old.ended.set()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to take this for AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    @property
    def fleet(self) -> Fleet:
        return self.world.fleet

    @property
    def library(self) -> Library:
        """Images, snapshots, and what refers to them."""
        return self.world.library

    @property
    def trail(self) -> Trail:
        return self.world.trail

    @property
    def policy(self) -> Policy:
        return self.world.policy

    @property
    def quirks(self) -> Quirks:
        return self.world.quirks

    @property
    def buckets(self) -> Buckets:
        return self.world.buckets

    @property
    def faults(self) -> Faults:
        return self.world.faults

    @property
    def calls(self) -> CallLog:
        return self.world.calls

    @property
    def parameters(self) -> Parameters:
        return self.world.parameters

    @property
    def tables(self) -> Tables:
        return self.world.tables

    @property
    def latency(self) -> dict[str, float]:
        """Seconds that are added before an operation is carried out; `*` stands for the others."""
        return self.world.latency

    def answer_in_life_size(self) -> None:
        """Let each instance bear all members that EC2 sends, about 4 KB, until the next reset."""
        self.world.life_size = True

    def _new_world(self) -> World:
        return World(self._clock, self.region, self.account, self._seed)

    def _respond(self, headers: Mapping[str, Any], body: bytes) -> Answer:
        return answer(self.world, headers, body)
