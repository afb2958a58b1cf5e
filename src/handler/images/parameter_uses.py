"""The images and snapshots that SSM parameters name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.aws.errors import AwsError
from handler.aws.lists import ask, read_all
from handler.aws.retry import Patience
from handler.images.resource_ids import ids_in

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PARAMETER_PAGE = 50
"""DescribeParameters' MaxResults."""
NAMES = 10
"""Names in one GetParameters call."""


@dataclass(frozen=True, slots=True)
class ParameterUses:
    """Parameter Store, as far as it can be read without a key: SecureStrings are not."""

    ssm: SSMClient
    patience: Patience

    def find(self) -> Mapping[str, str] | AwsError:
        """Every image id in a readable parameter of the account, whatever its data type."""
        found = read_all(
            self.patience,
            self.ssm.describe_parameters,
            "Parameters",
            ParameterFilters=[{"Key": "Type", "Values": ["String", "StringList"]}],
            MaxResults=PARAMETER_PAGE,
        )
        if isinstance(found, AwsError):
            return found
        texts = self.values(sorted(one["Name"] for one in found))
        if isinstance(texts, AwsError):
            return texts
        return {one: f"SSM parameter {name}" for name, value in texts for one in ids_in(value)}

    def values(self, names: list[str]) -> list[tuple[str, str]] | AwsError:
        """GetParameters, ten names a call; what does not exist stands for nothing."""
        values: list[tuple[str, str]] = []
        for start in range(0, len(names), NAMES):
            given = {"Names": names[start : start + NAMES]}
            answer = self.patience(lambda given=given: ask(self.ssm.get_parameters, given))  # type: ignore[misc] # the default binds this round's
            if isinstance(answer, AwsError):
                return answer
            values += [(one["Name"], one["Value"]) for one in answer["Parameters"]]
        return values
