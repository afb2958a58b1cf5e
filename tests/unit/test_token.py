"""The client token: kept while it works, fetched anew once in a run, told to nobody."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import SSMProvider
from botocore.exceptions import ClientError

from handler.backend.errors import BackendError
from handler.backend.token import ClientToken, TokenError

NAME = "/spot/token"


class Ssm:
    """What Powertools' provider asks of boto3; answers, in their order, are values or errors."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def get_parameter(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"Parameter": {"Value": answer}}


def refused(code: str = "AccessDeniedException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not allowed"}}, "GetParameter")


def provider(ssm: Ssm) -> SSMProvider:
    client = boto3.client(
        "ssm", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    made = SSMProvider(boto3_client=client)
    made.client = ssm  # type: ignore[assignment]
    return made


def token(ssm: Ssm, keeper: SSMProvider | None = None) -> ClientToken:
    keeper = keeper or provider(ssm)
    return ClientToken(None, NAME, lambda: keeper)


def no_provider() -> SSMProvider:
    pytest.fail("SSM is not needed")


def test_a_given_token_needs_no_ssm_and_is_not_shown() -> None:
    given = ClientToken("local-t0ken", "", no_provider)
    assert given.get() == "local-t0ken"
    assert given.renew("local-t0ken") is None
    assert "local-t0ken" not in repr(given)


def test_the_parameter_is_read_decrypted_and_once_for_all_runs() -> None:
    ssm = Ssm(" secret\n")
    keeper = provider(ssm)
    held = token(ssm, keeper)
    assert [held.get(), held.get(), token(ssm, keeper).get()] == ["secret"] * 3
    assert ssm.asked == [{"Name": NAME, "WithDecryption": True}]


def test_a_rotated_token_is_fetched_anew_once_in_a_run_and_used_from_then_on() -> None:
    """Contract section 2: "a rotated token costs no failed run"."""
    ssm = Ssm("old", "new")
    keeper = provider(ssm)
    held = token(ssm, keeper)
    assert held.renew(held.get()) == "new"
    assert held.get() == token(ssm, keeper).get() == "new"
    assert held.renew("new") is None
    assert held.renew("old") == "new"
    assert len(ssm.asked) == 2


def test_a_token_that_ssm_has_not_changed_is_tried_again_by_the_next_run() -> None:
    ssm = Ssm("old", "old", "new")
    keeper = provider(ssm)
    first = token(ssm, keeper)
    assert first.renew(first.get()) is None
    assert first.renew("old") is None
    assert len(ssm.asked) == 2
    second = token(ssm, keeper)
    assert second.renew(second.get()) == "new"


def test_ssm_refusing_is_told_with_its_words_and_the_way_out() -> None:
    with pytest.raises(BackendError) as caught:  # a report's trouble, and not the run's
        token(Ssm(refused())).get()
    assert isinstance(caught.value, TokenError)
    for word in ("AccessDeniedException", NAME, "ssm:GetParameter"):
        assert word in str(caught.value)


def test_ssm_failing_is_told_to_every_call_and_does_not_take_the_token_that_there_is() -> None:
    """A cached token goes on being used."""
    ssm = Ssm("old", refused("ThrottlingException"))
    keeper = provider(ssm)
    held = token(ssm, keeper)
    old = held.get()
    for _ in range(3):
        with pytest.raises(TokenError, match="ThrottlingException"):
            held.renew(old)
    assert len(ssm.asked) == 2
    assert token(ssm, keeper).get() == "old"


@pytest.mark.parametrize(
    "bad",
    ["", "  ", "s3cret with space", "s3cret\nX-Evil: 1", "s3crét", "s3cret\x00", "\u200bs3cret"],
)
def test_what_no_header_can_carry_is_refused_and_not_shown(bad: str) -> None:
    with pytest.raises(TokenError) as caught:
        token(Ssm(bad)).get()
    assert "does not hold a token" in str(caught.value)
    assert "s3cr" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_the_token_is_logged_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    held = token(Ssm("s3cret", "n3wer"))
    held.renew(held.get())
    for secret in ("s3cret", "n3wer"):
        assert secret not in caplog.text + repr(held)


def test_threads_that_meet_the_same_401_fetch_once() -> None:
    ssm = Ssm("old", "new")
    held = token(ssm)
    old = held.get()
    meeting = Barrier(8, timeout=10)

    def renew(_: int) -> str | None:
        meeting.wait()
        return held.renew(old)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(renew, range(8))) == {"new"}
    assert len(ssm.asked) == 2
