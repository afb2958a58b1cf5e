"""What the doctor says of the token and the backend, beyond the faults planted in tests/integration/doctor."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from handler.doctor import token
from handler.doctor.backend import REFUSALS
from handler.doctor.barriers import Barrier
from handler.doctor.findings import Status
from tests.fakes.dependencies import Service, dependencies


def test_every_barrier_and_refusal_has_a_cause_and_a_cure() -> None:
    assert set(REFUSALS) == {401, 403, 404}
    told = [*(one.value for one in Barrier), *(words for _, words in REFUSALS.values())]
    assert all(words.cause and words.cure for words in told)


def test_a_given_token_is_for_local_runs() -> None:
    (finding,) = token.examine.examine(dependencies(CLIENT_TOKEN="t0ken"))
    assert (finding.status, "local runs" in finding.found) == (Status.OK, True)


@pytest.mark.parametrize(
    ("error", "found", "says"),
    [
        (
            ClientError({"Error": {"Code": "ExpiredToken", "Message": "m"}}, "GetParameter"),
            "/token: ExpiredToken: m",
            "does not accept the function's credentials",
        ),
        (ReadTimeoutError(endpoint_url="u"), "/token: ReadTimeoutError: ", "in time"),
    ],
)
def test_trouble_that_is_not_the_parameter_s_own_is_aws_s(
    error: Exception, found: str, says: str
) -> None:
    it = dependencies()
    it.environment.services["ssm"] = Service(get_parameter=error)  # type: ignore[attr-defined] # a fake's
    (finding,) = token.examine.examine(it)
    assert finding.status is Status.FAILED
    assert finding.found.startswith(found)
    assert says in finding.cause
    assert it.tokenless == {"agent-1"}
