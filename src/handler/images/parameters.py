"""Parameter Store, as far as it can be read without a key: SecureStrings are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import ask, each_of, read_all

PUBLIC = re.compile(r"(arn:[^:]*:ssm:[^:]*::parameter)?/aws/service/")
"""AWS's own parameters, by name or by ARN, which bears no account. They name AWS's own images, and nobody
else can make names that begin with `aws`
(https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html)."""
PAGE = 50
"""DescribeParameters' MaxResults."""
AT_ONCE = 10
"""Names in one GetParameters call."""
NAMES_NOTHING = frozenset({"ParameterNotFound", "ParameterVersionNotFound", "ValidationException"})
"""SSM's own word, for one name asked alone, that nothing can have this name: it refers to nothing."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The account's parameters.

    Args:
        ssm: the client.
        time_left: seconds in which AWS may still be asked.
    """

    ssm: Any
    time_left: Callable[[], float]

    def names(self) -> list[str] | AwsError:
        """Every readable parameter's name."""
        found = read_all(
            self.ssm,
            "describe_parameters",
            "Parameters",
            self.time_left,
            ParameterFilters=[{"Key": "Type", "Values": ["String", "StringList"]}],
            MaxResults=PAGE,
        )
        return found if isinstance(found, AwsError) else [one["Name"] for one in found]

    def values(self, names: Iterable[str]) -> dict[str, str | AwsError] | AwsError:
        """What these say, by name, or why one could not be read; what does not exist says nothing.

        Ten names a call. One that is refused costs all ten of them: then each is asked alone.
        """
        wanted = sorted(name for name in set(names) if not PUBLIC.match(name))
        batches = [wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE)]
        values = self._asked(batches)
        if isinstance(values, AwsError):
            return values
        alone = [
            [name]
            for batch in batches
            for name in batch
            if len(batch) > 1 and isinstance(values[name], AwsError)
        ]
        singly = self._asked(alone)
        if isinstance(singly, AwsError):
            return singly
        return {
            name: "" if isinstance(value, AwsError) and value.code in NAMES_NOTHING else value
            for name, value in (values | singly).items()
        }

    def _asked(self, batches: Sequence[Sequence[str]]) -> dict[str, str | AwsError] | AwsError:
        answers = each_of(self._batch, batches, self.time_left)
        if isinstance(answers, AwsError):
            return answers
        values: dict[str, str | AwsError] = {}
        for batch, answer in answers:
            if isinstance(answer, AwsError):
                if answer.kind is not ErrorKind.REFUSED:
                    return answer  # no name's trouble
                values |= dict.fromkeys(batch, answer)
            else:
                values |= dict.fromkeys(batch, "") | answer
        return values

    def _batch(self, names: Sequence[str]) -> dict[str, str] | AwsError:
        answer = ask(self.ssm, "get_parameters", "Parameters", self.time_left, Names=list(names))
        if isinstance(answer, AwsError):
            return answer
        # A selector (`name:3`) is not part of the name that is answered.
        return {
            one["Name"] + (one.get("Selector") or ""): one["Value"] for one in answer["Parameters"]
        }
