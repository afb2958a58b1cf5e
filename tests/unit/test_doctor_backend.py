"""What the doctor says of the token, the backend and the switches."""

from __future__ import annotations

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.advice_backend import BARRIERS, REFUSALS, TOKEN
from handler.doctor.findings import (
    Status,
)
from handler.doctor.judge_backend import judge_switches, judge_token
from handler.doctor.ports import (
    TLS_BARRIERS,
    Barrier,
    TokenFault,
    TokenTrouble,
)
from handler.instances.model import Listing


class TestTheBackend:
    def test_every_barrier_and_fault_has_a_cause_and_a_cure(self) -> None:
        assert set(BARRIERS) == set(Barrier)
        assert set(TOKEN) == set(TokenFault)
        assert set(REFUSALS) == {401, 403, 404}
        told = [*BARRIERS.values(), *TOKEN.values(), *(words for _, words in REFUSALS.values())]
        assert all(words.cause and words.cure for words in told)

    def test_a_private_ca_s_cure_names_the_variable(self) -> None:
        assert "REQUESTS_CA_BUNDLE" in BARRIERS[Barrier.UNTRUSTED].cure
        assert Barrier.UNTRUSTED in TLS_BARRIERS

    def test_a_given_token_is_for_local_runs(self) -> None:
        assert judge_token(None, "", given=True).status is Status.OK
        trouble = TokenTrouble(TokenFault.KEY, "AccessDeniedException: m")
        finding = judge_token(trouble, "/token", given=False)
        assert (finding.status, "kms:Decrypt" in finding.cure) == (Status.FAILED, True)

    @pytest.mark.parametrize(
        ("kind", "says"),
        [
            (ErrorKind.LOCKED_OUT, "does not accept the function's credentials"),
            (ErrorKind.NO_ANSWER, "does not answer in time"),
            (ErrorKind.FAULTY, "AWS itself is in trouble"),
        ],
    )
    def test_trouble_that_is_not_the_parameter_s_own_is_aws_s(
        self, kind: ErrorKind, says: str
    ) -> None:
        error = AwsError("C", "m", kind)
        finding = judge_token(TokenTrouble(TokenFault.OTHER, str(error), error), "/t", given=False)
        assert finding.found == "/t: C: m"
        assert says in finding.cause

    @pytest.mark.parametrize(
        ("backend", "enabled", "dry_run", "statuses"),
        [
            (True, True, False, ["ok", "ok", "ok"]),
            (False, True, False, ["failed", "ok", "ok"]),
            (True, False, False, ["ok", "failed", "ok"]),
            (True, True, True, ["ok", "ok", "warning"]),
            (None, True, False, ["skipped", "ok", "ok"]),
        ],
    )
    def test_each_switch_has_its_own_check(
        self, backend: bool | None, enabled: bool, dry_run: bool, statuses: list[str]
    ) -> None:
        listing = None if backend is None else Listing((), (), backend)
        found = judge_switches(listing, enabled=enabled, dry_run=dry_run)
        assert [one.status.value for one in found] == statuses
