"""A fact: one answer of AWS's, where it is known from, and the right reading in neutral words.

The answers are written anew: ids, accounts and times are made up or shortened, what matters is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CUSTODIAN = "https://github.com/cloud-custodian/cloud-custodian/blob/main/tests/data/placebo"
LOCALSTACK = "https://github.com/localstack/localstack/blob/main/tests/aws/services"
EC2_API = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
EC2_GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
DYNAMODB_ERRORS = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as the service's own protocol writes it; `extra` are further members of JSON errors."""

    code: str
    message: str
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """One answer and its reading.

    Attributes:
        name: what it shows, in a few words.
        source: a public address.
        call: service and operation, such as `ec2.DescribeInstances`.
        answer: in the shape that boto3 shows, a refusal, or the body as text.
        reading: what has to be understood, in the words of `adapters.py`'s reader.
        status: of HTTP.
    """

    name: str
    source: str
    call: str
    answer: Mapping[str, Any] | Refusal | str
    reading: Mapping[str, Any]
    status: int = 200

    def __str__(self) -> str:
        return self.name.replace(" ", "-")
