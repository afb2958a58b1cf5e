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
        for instance_id, tags in instances:
            allowed = all(tags.get(key) == value for key, value in self.required_tags.items())
            if instance_id in self.denied_ids or not allowed:
                arn = f"arn:aws:ec2:{self.region}:{self.account}:instance/{instance_id}"
                raise self._unauthorized(
                    f"User: {self.caller} is not authorized to perform: {action} on resource: {arn} "
                    f"because no identity-based policy allows the {action} action"
                )

    def _unauthorized(self, sentence: str) -> AwsError:
        opaque = hashlib.sha512(sentence.encode()).hexdigest()
        said = "" if self.encoded_messages else f"{sentence}. "
        return AwsError(
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. "
            f"{said}Encoded authorization failure message: {opaque}",
        )
