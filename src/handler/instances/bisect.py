"""Finds what is bad in a batch whose call fails as a whole, and lets the rest through.

TerminateInstances is all or nothing within one Availability Zone: one protected, unknown or
forbidden id, and none is terminated (AWS, TerminateInstances). What EC2's error names is taken
out; where it names nothing, the batch is halved, with two savings over plain halving:

- a rejected batch whose first half went through, whole, has its bad id in the second half, which
  needs no call of its own to know;
- once a bad id is found, the untried rest goes on in smaller batches, and grows while they pass.

k bad ids among n cost O(k log n) calls; 12 among 1,000 cost less than 120.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.ports import Accepted

LARGEST_BATCH = 1000
"""Instance ids in one TerminateInstances call (AWS, TerminateInstances)."""

Answer = Accepted | AwsError
Attempt = Callable[[Sequence[str]], Answer]


def bisect(
    ids: Sequence[str], attempt: Attempt, largest: int = LARGEST_BATCH
) -> Iterator[tuple[Sequence[str], Answer]]:
    """Carry all ids through `attempt`; yield groups of them, each with its answer.

    Every id is yielded exactly once. An error of kind REFUSED or MISSING is yielded with the ids
    that it names, or with the single id that is left; any other error is not about the ids, and is
    yielded with the whole group that met it.
    """
    pool = list(ids)
    size = largest
    found = 0
    while pool:
        group, pool = pool[:size], pool[size:]
        tried = len(group)
        answer = attempt(group)
        while not isinstance(answer, Accepted) and _about_ids(answer) and len(group) > 1:
            if named := [one for one in group if one in answer.named]:
                pool = [one for one in group if one not in answer.named] + pool
                group = named
                break
            first, second = group[: len(group) // 2], group[len(group) // 2 :]
            half = attempt(first)
            if isinstance(half, Accepted):
                yield first, half
                group = second  # it holds the bad one: the whole was rejected
                if half.left_out:  # unless that is the one which was not asked for any more
                    answer = attempt(group)
            else:
                pool = second + pool
                group, answer = first, half
        yield group, answer
        if isinstance(answer, Accepted):
            size = min(size * 2, largest)
        elif _about_ids(answer) and not answer.named.intersection(group):
            found += 1
            size = max(tried // (8 if found == 1 else 2), 1)


def _about_ids(error: AwsError) -> bool:
    return error.kind in {ErrorKind.REFUSED, ErrorKind.MISSING}
