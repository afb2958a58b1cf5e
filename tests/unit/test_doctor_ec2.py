"""What the doctor says of EC2's permissions; the planted faults are in tests/integration/doctor."""

from __future__ import annotations

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.ec2 import SPOT, TERMINATE, Trial, pick, say
from handler.doctor.findings import Check, Status
from handler.instances.rules import GROUP_TAG
from tests.fakes.build import OURS, iid, instance
from tests.fakes.dependencies import dependencies


class TestEc2:
    def test_the_dry_run_is_tried_on_a_marked_instance_if_there_is_one(self) -> None:
        running = [instance(1), instance(2), instance(3)]
        assert pick(running, "DoNotTerminate", {iid(2)}) == running[1]
        assert pick(running, "DoNotTerminate", set()) == running[0]

    @pytest.mark.parametrize("tag", ["DoNotTerminate", GROUP_TAG])
    def test_it_is_not_tried_on_what_the_guards_keep(self, tag: str) -> None:
        kept = instance(1, tags=OURS | {tag: ""})
        assert pick([kept], "DoNotTerminate", {iid(1)}) is None
        assert pick([kept, instance(2)], "DoNotTerminate", {iid(1)}) == instance(2)

    @pytest.mark.parametrize(
        ("check", "code"),
        [
            (TERMINATE, "InvalidInstanceID.NotFound"),
            (SPOT, "InvalidSpotInstanceRequestID.NotFound"),
        ],
        ids=str,
    )
    def test_what_ended_meanwhile_proves_nothing(self, check: Check, code: str) -> None:
        gone = AwsError(code, "m", ErrorKind.MISSING)
        finding = Trial(check, "end it", "ec2:End", "x").judge(dependencies(), lambda: gone)
        assert finding.status is Status.SKIPPED
        assert code in finding.found


@pytest.mark.parametrize(
    ("decoded", "says"),
    [
        (
            (
                '{"allowed": false, "explicitDeny": false, "matchedStatements": {"items": []},'
                '"context": {"principal": {"arn": "arn:role"}, "action": "ec2:TerminateInstances",'
                '"resource": "arn:i-1", "conditions": {"items": [{"key": "aws:ResourceTag/ManagedBy",'
                '"values": {"items": [{"value": "Other"}]}}, {"key": "ec2:Region", "values": {}}]}}}'
            ),
            (
                "no policy of arn:role allows ec2:TerminateInstances on arn:i-1; the instance's tags as "
                "IAM saw them: ManagedBy=Other"
            ),
        ),
        (
            (
                '{"explicitDeny": true, "matchedStatements": {"items": [{"statementId": "NotAtNight"}]},'
                '"context": {"action": "a", "resource": "r"}}'
            ),
            (
                "the caller is denied a on r by the statement NotAtNight; the instance's tags as IAM saw "
                "them: none"
            ),
        ),
        ("a form of the future", "a form of the future"),
        ('{"context": 1}', '{"context": 1}'),
    ],
)
def test_a_decoded_reason_is_a_sentence(decoded: str, says: str) -> None:
    assert say(decoded) == says
