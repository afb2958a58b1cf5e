"""The Recycle Bin's retention rules: whether what is deleted can be had back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handler.aws.errors import AwsError
from handler.aws.lists import ask, read_all
from handler.aws.retry import Patience
from handler.images.model import RetentionRule


@dataclass(frozen=True, slots=True)
class RecycleBinRules:
    """The port `RecycleBin` on ListRules, and GetRule for each rule's tags."""

    rbin: Any
    patience: Patience

    def rules(self) -> tuple[RetentionRule, ...] | AwsError:
        """The rules for images and for snapshots."""
        rules: list[RetentionRule] = []
        for kind in ("EC2_IMAGE", "EBS_SNAPSHOT"):
            listed = read_all(self.patience, self.rbin.list_rules, "Rules", ResourceType=kind)
            if isinstance(listed, AwsError):
                return listed
            for one in listed:
                given = {"Identifier": one["Identifier"]}
                rule = self.patience(lambda given=given: ask(self.rbin.get_rule, given))  # type: ignore[misc] # the default binds this round's
                if isinstance(rule, AwsError):
                    return rule
                if rule.get("Status") == "available":
                    rules.append(
                        RetentionRule(
                            kind == "EC2_IMAGE",
                            rule["RetentionPeriod"]["RetentionPeriodValue"],
                            _pairs(rule.get("ResourceTags")),
                            _pairs(rule.get("ExcludeResourceTags")),
                        )
                    )
        return tuple(rules)


def _pairs(tags: list[dict[str, Any]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((tag["ResourceTagKey"], tag.get("ResourceTagValue", "")) for tag in tags or [])
