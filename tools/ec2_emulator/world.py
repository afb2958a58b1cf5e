"""Everything that one run of tests sees, made anew by each reset."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.ec2_emulator.buckets import Buckets
from tools.ec2_emulator.calls import CallLog
from tools.ec2_emulator.clock import Clock
from tools.ec2_emulator.dynamodb import Tables
from tools.ec2_emulator.faults import Faults
from tools.ec2_emulator.iam import Policy
from tools.ec2_emulator.library import Library
from tools.ec2_emulator.ssm import Parameters
from tools.ec2_emulator.state import Fleet
from tools.ec2_emulator.trail import Trail


@dataclass
class Quirks:
    """Answers that AWS gives rarely, or gave once."""

    # Errors that do not say which instance they are about.
    anonymous_errors: bool = False
    # InvalidInstanceID.NotFound that does not say which ids EC2 does not know.
    unnamed_not_found: bool = False
    # Zones that are disrupted, as the API reference tells it of DescribeInstances.
    disrupted_zones: set[str] = field(default_factory=set)
    # The CurrentState that TerminateInstances answers for an id; None leaves the id out of the answer.
    odd_states: dict[str, str | None] = field(default_factory=dict)
    # The state that CancelSpotInstanceRequests answers for a request, which is then left as it is.
    odd_cancellations: dict[str, str] = field(default_factory=dict)
    # Older user guides: a disabled request's stopped instance outlives the request.
    cancelling_keeps_stopped: bool = False
    # Documented for DryRun are permissions only; on, termination protection answers as well.
    dry_run_sees_protection: bool = False


class World:
    """The account, its resources, and the script of what goes wrong."""

    def __init__(self, clock: Clock, region: str, account: str, seed: int) -> None:
        self.clock = clock
        self.region = region
        self.account = account
        self.fleet = Fleet(clock, region=region, seed=seed)
        self.library = Library(clock)
        self.trail = Trail(clock, region=region, account=account)
        self.fleet.on_launch = self.trail.launched
        self.policy = Policy(account, region)
        self.quirks = Quirks()
        self.buckets = Buckets(clock)
        self.faults = Faults()
        self.calls = CallLog()
        self.parameters = Parameters(clock, region=region, account=account)
        self.tables = Tables()
        self.latency: dict[str, float] = {}  # seconds by operation, or "*"
        self.life_size = False  # whether answers bear all that EC2 sends, for measurements
        self.ended = threading.Event()  # wakes what still waits when the world is replaced


Handler = Callable[[World, Mapping[str, Any]], Mapping[str, Any]]
"""An operation: parsed parameters in, an answer in the model's shape out."""
