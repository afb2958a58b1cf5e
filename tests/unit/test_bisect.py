"""Finding what is bad in a batch: which calls, how many, and nobody forgotten or asked twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.bisect import LARGEST_BATCH, Answer, bisect
from handler.instances.ports import Accepted
from tests.fakes.build import error, iid

MOST_CALLS = 120
"""For 12 bad among 1,000: the budget that the design gives."""
WORST_FOUND = (1, 142, 156, 345, 350, 423, 494, 695, 827, 831, 861, 954)
"""What hill climbing over 30,000 placements ended with: 114 calls."""


class Ec2:
    """Rejects a whole call for one bad id; `name` says which ids the error names."""

    def __init__(
        self,
        bad: Iterable[str],
        name: Callable[[Sequence[str]], Iterable[str]] = lambda _: (),
        kind: ErrorKind = ErrorKind.REFUSED,
    ) -> None:
        self.bad = set(bad)
        self.name = name
        self.kind = kind
        self.calls: list[list[str]] = []

    def __call__(self, ids: Sequence[str]) -> Answer:
        self.calls.append(list(ids))
        found = [one for one in ids if one in self.bad]
        if not found:
            return Accepted({}, "req")
        return error(self.kind, "Bad", "bad", *self.name(found))


def first_bad(found: Sequence[str]) -> Iterable[str]:
    return found[:1]


def all_bad(found: Sequence[str]) -> Iterable[str]:
    return found


def a_stranger(found: Sequence[str]) -> Iterable[str]:
    """A role's session name or a request's id looks like an instance's, and is none of ours."""
    return ["i-0000000000000ffff"]


def through(ids: Sequence[str], ec2: Ec2, largest: int = LARGEST_BATCH) -> dict[str, Answer]:
    """Isolate, and check that every id came out exactly once with the right kind of answer."""
    answers: dict[str, Answer] = {}
    for group, answer in bisect(ids, ec2, largest):
        for one in group:
            assert one not in answers
            answers[one] = answer
    assert set(answers) == set(ids)
    for one, answer in answers.items():
        assert isinstance(answer, AwsError) == (one in ec2.bad)
    return answers


def cost(
    total: int, bad: Iterable[int], ec2_names: Callable[..., Iterable[str]] | None = None
) -> int:
    ids = [iid(n) for n in range(total)]
    ec2 = Ec2((ids[n] for n in bad), ec2_names or (lambda _: ()))
    through(ids, ec2)
    assert max(len(call) for call in ec2.calls) <= LARGEST_BATCH
    return len(ec2.calls)


def test_no_ids_is_no_call() -> None:
    ec2 = Ec2([])
    assert through([], ec2) == {}
    assert ec2.calls == []


def test_a_good_batch_is_one_call() -> None:
    ec2 = Ec2([])
    through(list("abcdef"), ec2)
    assert ec2.calls == [list("abcdef")]


def test_more_than_the_largest_batch_is_several_calls() -> None:
    ec2 = Ec2([])
    through(list("abcdefg"), ec2, largest=3)
    assert ec2.calls == [list("abc"), list("def"), list("g")]


def test_aws_takes_a_thousand_ids_a_call() -> None:
    """EC2 API, TerminateInstances."""
    assert LARGEST_BATCH == 1000
    assert cost(2500, []) == 3


def test_a_single_bad_one_is_one_call() -> None:
    ec2 = Ec2("a")
    through(["a"], ec2)
    assert ec2.calls == [["a"]]


def test_a_named_bad_one_is_taken_out_and_the_rest_goes_on() -> None:
    ec2 = Ec2("c", first_bad)
    through(list("abcd"), ec2)
    assert ec2.calls == [list("abcd"), list("abd")]


def test_several_named_at_once_are_taken_out_at_once() -> None:
    ec2 = Ec2("bc", all_bad)
    through(list("abcd"), ec2)
    assert ec2.calls == [list("abcd"), list("ad")]


def test_a_half_that_passes_proves_the_other_bad() -> None:
    ec2 = Ec2("d")
    through(list("abcd"), ec2)
    assert ec2.calls == [list("abcd"), list("ab"), list("c")]


def test_a_half_that_fails_is_halved_before_the_other_is_tried() -> None:
    ec2 = Ec2("a")
    answers = through(list("abcd"), ec2)
    assert ec2.calls[:3] == [list("abcd"), list("ab"), list("a")]
    assert {one for call in ec2.calls[3:] for one in call} == set("bcd")
    assert isinstance(answers["a"], AwsError)


def test_ids_named_that_were_not_asked_about_are_of_no_use() -> None:
    ec2 = Ec2("d", a_stranger)
    through(list("abcd"), ec2)
    assert ec2.calls == [list("abcd"), list("ab"), list("c")]


@pytest.mark.parametrize("kind", [ErrorKind.REFUSED, ErrorKind.MISSING])
def test_errors_about_ids_are_isolated(kind: ErrorKind) -> None:
    ec2 = Ec2("b", kind=kind)
    through(list("abcdefgh"), ec2)
    assert len(ec2.calls) > 1


@pytest.mark.parametrize(
    "kind", [k for k in ErrorKind if k not in {ErrorKind.REFUSED, ErrorKind.MISSING}]
)
def test_an_error_that_is_not_about_ids_is_never_halved(kind: ErrorKind) -> None:
    """ec2.md: "never split a batch because of" a throttle."""
    ids = [iid(n) for n in range(50)]
    calls: list[list[str]] = []

    def attempt(group: Sequence[str]) -> Answer:
        calls.append(list(group))
        return error(kind, "Code", "names an id", ids[3])

    assert [list(group) for group, _ in bisect(ids, attempt)] == [ids]
    assert calls == [ids]


def test_a_throttled_half_is_yielded_whole_and_the_other_still_tried() -> None:
    answers: list[Answer] = [
        error(ErrorKind.REFUSED),
        error(ErrorKind.THROTTLED),
        Accepted({}, "req"),
    ]
    calls: list[list[str]] = []

    def attempt(group: Sequence[str]) -> Answer:
        calls.append(list(group))
        return answers[len(calls) - 1]

    found = [(list(group), answer) for group, answer in bisect(list("abcd"), attempt)]
    assert found == [(list("ab"), answers[1]), (list("cd"), answers[2])]
    assert calls == [list("abcd"), list("ab"), list("cd")]


def test_an_attempt_is_never_made_for_no_id() -> None:
    ec2 = Ec2("ab", all_bad)
    through(list("ab"), ec2)
    assert [] not in ec2.calls


@pytest.mark.parametrize("seed", range(3))
def test_twelve_unnamed_bad_among_a_thousand_cost_at_most_120_calls_at_random(seed: int) -> None:
    rng = random.Random(seed)
    worst = max(cost(1000, rng.sample(range(1000), 12)) for _ in range(40))
    assert worst <= MOST_CALLS


@pytest.mark.parametrize("stride", [1, 7, 31, 83, 90])
def test_twelve_unnamed_bad_among_a_thousand_cost_at_most_120_calls_spread(stride: int) -> None:
    room = 1000 - 11 * stride
    worst = max(
        cost(1000, [first + stride * n for n in range(12)])
        for first in range(0, room, max(1, room // 8))
    )
    assert worst <= MOST_CALLS


def test_the_worst_placement_that_was_found_holds_the_bound() -> None:
    assert cost(1000, WORST_FOUND) <= MOST_CALLS


def test_climbing_from_the_worst_placement_does_not_break_the_bound() -> None:
    rng = random.Random(12)
    bad, worst = set(WORST_FOUND), 0
    for _ in range(60):
        other = bad - {rng.choice(sorted(bad))}
        other.add(rng.choice([n for n in range(1000) if n not in other]))
        calls = cost(1000, other)
        if calls >= worst:
            bad, worst = other, calls
    assert worst <= MOST_CALLS


@pytest.mark.parametrize("seed", range(2))
def test_an_error_that_names_strangers_only_costs_no_more_than_one_that_names_none(
    seed: int,
) -> None:
    rng = random.Random(seed)
    worst = max(cost(1000, rng.sample(range(1000), 12), a_stranger) for _ in range(60))
    assert worst <= MOST_CALLS


@pytest.mark.parametrize("names", [first_bad, all_bad])
def test_named_bad_ones_cost_one_call_each_and_one_more(
    names: Callable[[Sequence[str]], Iterable[str]],
) -> None:
    for bad in (0, 1, 2, 5, 12, 40):
        rng = random.Random(bad)
        for _ in range(5):
            assert cost(1000, rng.sample(range(1000), bad), names) <= bad + 1


@pytest.mark.parametrize(("total", "bad"), [(1000, 1), (1000, 2), (1000, 5), (200, 12), (1000, 50)])
def test_k_bad_among_n_cost_in_the_order_of_k_log_n(total: int, bad: int) -> None:
    """At most one descent and a half for each, and the batches that pass between them."""
    rng = random.Random(total + bad)
    for _ in range(8):
        calls = cost(total, rng.sample(range(total), bad))
        assert calls <= 5 + 1.25 * bad * (total.bit_length())


@pytest.mark.parametrize("total", [1, 2, 3, 50, 500])
def test_where_all_are_bad_the_calls_are_few_more_than_the_ids(total: int) -> None:
    assert cost(total, range(total)) <= total + 30


@given(st.data())
def test_every_id_comes_out_exactly_once_whatever_ec2_answers(data: st.DataObject) -> None:
    """Any answer to any call, consistent or not, and any size of batch."""
    ids = [iid(n) for n in range(data.draw(st.integers(0, 40)))]
    largest = data.draw(st.integers(1, 40))

    def attempt(group: Sequence[str]) -> Answer:
        assert 0 < len(group) <= largest
        kind = data.draw(st.sampled_from([None, None, *ErrorKind]))
        if kind is None:
            return Accepted({}, "req")
        named = data.draw(st.lists(st.sampled_from([*group, "i-12345678"]), max_size=3))
        return error(kind, "Code", "words", *named)

    out = [one for group, _ in bisect(ids, attempt, largest) for one in group]
    assert sorted(out) == sorted(ids)


@given(
    st.sets(st.integers(0, 299), max_size=40),
    st.sampled_from([None, first_bad, all_bad, a_stranger]),
    st.integers(1, 300),
)
def test_exactly_the_bad_ones_get_an_error(
    bad: set[int], names: Callable[..., Iterable[str]] | None, largest: int
) -> None:
    ids = [iid(n) for n in range(300)]
    through(ids, Ec2((ids[n] for n in bad), names or (lambda _: ())), largest)
