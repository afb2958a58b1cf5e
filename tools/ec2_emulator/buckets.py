"""Token buckets as EC2 documents them: per account and region, requests and, for some calls, resources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.ec2_emulator.clock import Clock
from tools.ec2_emulator.errors import AwsError, throttled


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket's size and the tokens that it gains in a second."""

    burst: float
    refill: float


TERMINATE_INSTANCES = "TerminateInstances:instances"
UNFILTERED = "DescribeInstances:unfiltered"
DESCRIBE = "Describe*"
MUTATING = "mutating"

LIMITS: Mapping[str, Limit] = {
    "TerminateInstances": Limit(100, 5),
    TERMINATE_INSTANCES: Limit(1_000, 20),
    DESCRIBE: Limit(100, 20),
    UNFILTERED: Limit(50, 10),
    "CancelSpotInstanceRequests": Limit(50, 5),
    "DeregisterImage": Limit(100, 5),
    "DeleteSnapshot": Limit(100, 5),
    MUTATING: Limit(50, 5),
    "LookupEvents": Limit(2, 2),
}


class _Bucket:
    def __init__(self, limit: Limit, now: float) -> None:
        self.limit = limit
        self.tokens = limit.burst
        self.at = now

    def has(self, tokens: float, now: float) -> bool:
        # A clock that stands still or steps back must not add tokens.
        elapsed = max(0.0, now - self.at)
        self.tokens = min(self.limit.burst, self.tokens + elapsed * self.limit.refill)
        self.at = now
        return self.tokens >= tokens


class Buckets:
    """Off until enabled. `speed` makes them refill faster, so that a drain can be timed in less time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._services: frozenset[str] = frozenset()
        self._speed = 1.0
        self._scale = 1.0
        self._buckets: dict[str, _Bucket] = {}

    def enable(self, *services: str, scale: float = 1.0, speed: float = 1.0) -> None:
        """Throttle these services (none named: `ec2` and `cloudtrail`), starting with full buckets.

        Args:
            services: signing names.
            scale: multiplies what the buckets hold and their refill.
            speed: multiplies the refill only.
        """
        self._services = frozenset(services or ("ec2", "cloudtrail"))
        self._scale, self._speed = scale, speed
        self._buckets.clear()

    def disable(self) -> None:
        self._services = frozenset()

    def tokens(self, name: str) -> float:
        """What a bucket holds now."""
        bucket = self._bucket(name)
        bucket.has(0, self._clock())
        return bucket.tokens

    def take(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Pay for a call, or raise the service's throttling error; a refused call costs nothing."""
        if service not in self._services:
            return
        now = self._clock()
        costs = [(self._bucket(name), tokens) for name, tokens in cost(operation, parameters)]
        if not all(bucket.has(tokens, now) for bucket, tokens in costs):
            raise (
                throttled()
                if service == "ec2"
                else AwsError("ThrottlingException", "Rate exceeded")
            )
        for bucket, tokens in costs:
            bucket.tokens -= tokens

    def _bucket(self, name: str) -> _Bucket:
        if name not in self._buckets:
            limit = LIMITS[name]
            scaled = Limit(limit.burst * self._scale, limit.refill * self._scale * self._speed)
            self._buckets[name] = _Bucket(scaled, self._clock())
        return self._buckets[name]


def cost(operation: str, parameters: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Which buckets a call draws from, and how much."""
    if operation == "TerminateInstances":
        request = (operation, 1.0)
        # A dry run terminates nothing: it costs a request, no resources.
        if parameters.get("DryRun"):
            return [request]
        return [request, (TERMINATE_INSTANCES, float(len(parameters.get("InstanceIds", []))))]
    if operation in LIMITS:
        return [(operation, 1.0)]
    if operation == "DescribeInstances" and not (
        parameters.get("Filters") or parameters.get("MaxResults")
    ):
        return [(UNFILTERED, 1.0)]
    if operation.startswith("Describe"):
        return [(DESCRIBE, 1.0)]
    return [(MUTATING, 1.0)]
