"""What the caller's role may do: by action, and for instances by id and by tag."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tools.ec2_emulator.errors import AwsError


@dataclass
class Policy:
    """Allows everything until a test narrows it."""

    account: str
    region: str
    required_tags: dict[str, str] = field(default_factory=dict)
    # IAM judges a Spot request by its own tags, not by its instance's.
    required_request_tags: dict[str, str] = field(default_factory=dict)
    denied_ids: set[str] = field(default_factory=set)
    denied_actions: set[str] = field(default_factory=set)  # such as "ec2:DescribeInstances"
    # AWS's older message names nothing; the newer one names the first resource that was denied.
    encoded_messages: bool = False

    @property
    def caller(self) -> str:
        return f"arn:aws:sts::{self.account}:assumed-role/termination/run"

    def check_action(self, action: str) -> None:
        if action not in self.denied_actions:
            return
        because = f"because no identity-based policy allows the {action} action"
        sentence = f"User: {self.caller} is not authorized to perform: {action} {because}"
        if action.startswith("ec2:"):
            raise self._unauthorized(sentence)
        # Each protocol has its own name for it.
        code = "AccessDenied" if action.startswith("autoscaling:") else "AccessDeniedException"
        raise AwsError(code, sentence)

    def check_instances(
        self, action: str, instances: Iterable[tuple[str, Mapping[str, str]]]
    ) -> None:
        """Deny the whole call for the first instance that the role may not touch."""
        self._check(action, "instance", instances, self.required_tags)

    def check_requests(
        self, action: str, requests: Iterable[tuple[str, Mapping[str, str]]]
    ) -> None:
        """The same for Spot requests, which usually bear no tags at all."""
        self._check(action, "spot-instances-request", requests, self.required_request_tags)

    def _check(
        self,
        action: str,
        kind: str,
        resources: Iterable[tuple[str, Mapping[str, str]]],
        required: Mapping[str, str],
    ) -> None:
        for key, tags in resources:
            allowed = all(tags.get(name) == value for name, value in required.items())
            if key in self.denied_ids or not allowed:
                raise self.denied(
                    action, kind, key, f"no identity-based policy allows the {action} action"
                )

    def denied(self, action: str, kind: str, key: str, because: str) -> AwsError:
        """What EC2 says to a caller who may not do this to one resource."""
        arn = f"arn:aws:ec2:{self.region}:{self.account}:{kind}/{key}"
        return self._unauthorized(
            f"User: {self.caller} is not authorized to perform: {action} on resource: {arn} "
            f"because {because}"
        )

    def _unauthorized(self, sentence: str) -> AwsError:
        opaque = hashlib.sha512(sentence.encode()).hexdigest()
        said = "" if self.encoded_messages else f"{sentence}. "
        return AwsError(
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. "
            f"{said}Encoded authorization failure message: {opaque}",
        )
