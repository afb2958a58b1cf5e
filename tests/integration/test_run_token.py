"""The client token through a run: rotated, refused, missing, given."""

from __future__ import annotations

from tests.integration import checks
from tests.integration.scripted import LIST, Exchange, ScriptedBackend
from tests.integration.world import (
    PARAMETER,
    Account,
    World,
)
from tools.ec2_emulator.faults import error


def test_a_rotated_token_costs_no_failed_run_and_one_look_into_ssm(world: World) -> None:
    world.run()
    (one,) = world.zombies()
    world.give(world.operator.rotate_token(world.client.client_id))
    world.aws.calls.clear()
    world.wiretap.clear()

    assert world.counts() == {"listed": 1, "terminated": 1}

    assert world.reported_once(one)
    assert world.aws.calls.count("GetParameter") == 1
    assert len(world.wiretap.lists) == 2
    world.run()
    assert world.aws.calls.count("GetParameter") == 1, "the new token is kept"


def test_a_token_that_is_rotated_between_list_and_reports_loses_no_report(
    account: Account, scripted: ScriptedBackend
) -> None:
    ids = account.launch(12)
    scripted.mark(*ids)
    scripted.meets(LIST, lambda exchange: rotate(exchange, scripted, account))

    assert account.counts() == {"listed": 12, "terminated": 12}

    assert [scripted.successes(one) for one in ids] == [1] * 12
    assert account.aws.calls.count("GetParameter") == 2, "the cold one, and once for all reports"


def test_a_rotated_token_that_ssm_does_not_give_costs_the_reports_not_the_run(
    account: Account, scripted: ScriptedBackend
) -> None:
    ids = account.launch(3)
    scripted.mark(*ids)
    scripted.meets(LIST, lambda exchange: rotate(exchange, scripted, account))
    account.aws.faults.add("GetParameter", error("AccessDeniedException"), nth=2, times=None)

    done = account.run()

    assert checks.counts(done.returned) == {"listed": 3, "unreported": 3}
    assert account.aws.fleet.live == []
    assert any("AccessDeniedException" in done.outcome(one)["why"] for one in ids)

    account.aws.faults.clear()
    assert account.counts() == {"listed": 3, "terminated": 3}
    assert [scripted.successes(one) for one in ids] == [1] * 3


def rotate(exchange: Exchange, scripted: ScriptedBackend, account: Account) -> None:
    """List as ever, and take no more of the token by which it was asked for."""
    exchange.genuine()
    scripted.token = "the-next-token-71aa"
    account.give(scripted.token)


def test_a_wrong_token_fails_the_run_and_says_what_to_do(world: World) -> None:
    (one,) = world.zombies()
    world.give("not-the-token-of-anybody")

    world.fails(r"HTTP 401 \(the client token is not accepted: put the right one into the SSM")

    assert world.state(one) == "running"
    assert len(world.wiretap.lists) == 1, "the same token is not tried twice"
    assert world.aws.calls.count("GetParameter") == 2


def test_a_token_from_the_environment_needs_no_ssm(world: World) -> None:
    (one,) = world.zombies()
    assert world.counts(CLIENT_TOKEN=world.client.token, CLIENT_TOKEN_PARAMETER="") == {
        "listed": 1,
        "terminated": 1,
    }
    assert world.reported_once(one)
    assert world.aws.calls.count("GetParameter") == 0


def test_a_token_with_a_newline_at_its_end_works_all_the_same(world: World) -> None:
    world.aws.parameters[PARAMETER] = f"{world.client.token}\n"
    (one,) = world.zombies()
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(one)
