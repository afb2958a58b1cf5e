"""The service models that the functions bring are the locked botocore's, and hold what is called."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from handler.aws.clients import Limits, aws_client, aws_session
from tests.iam.calls import calls
from tools import api_models


@pytest.mark.parametrize("service", api_models.OPERATIONS)
def test_a_model_is_what_the_tool_makes_of_the_locked_botocore(service: str) -> None:
    text = api_models.text(service)
    assert api_models.place(service).read_text() == text, "make models"


def test_every_call_of_the_code_is_in_them_and_no_other() -> None:
    made = {action for _, action in calls()} | {"dynamodb:TransactWriteItems"}
    held = {f"{service}:{one}" for service, some in api_models.OPERATIONS.items() for one in some}
    assert {one for one in made if one.split(":")[0] in api_models.OPERATIONS} == held


def test_clients_are_made_of_them_and_others_of_boto3_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    session = aws_session("us-east-1")
    names = aws_client(session, "ec2", Limits()).meta.service_model.operation_names
    assert sorted(names) == sorted(api_models.OPERATIONS["ec2"])
    assert "PutEvents" in aws_client(session, "events", Limits()).meta.service_model.operation_names


@pytest.mark.parametrize("service", api_models.OPERATIONS)
def test_what_is_left_reads_and_writes_as_the_whole(service: str) -> None:
    whole = botocore.session.get_session().get_service_model(service)
    own = aws_client(aws_session("us-east-1"), service, Limits()).meta.service_model
    assert dict(own.metadata) == dict(whole.metadata)
    kept = api_models.MEMBERS.get(service, {})
    for name in own.operation_names:
        for side in ("input_shape", "output_shape"):
            ours, theirs = (getattr(each.operation_model(name), side) for each in (own, whole))
            same(ours, theirs, kept, set())


def same(ours: Any, theirs: Any, kept: Any, seen: set[str]) -> None:
    """Shape by shape; what is pruned holds what is named."""
    if ours is None or ours.name in seen:
        assert (ours is None) == (theirs is None)
        return
    seen.add(ours.name)
    assert ours.serialization == theirs.serialization
    assert ours.type_name == theirs.type_name
    if ours.type_name == "structure":
        assert {*ours.members} == {*kept.get(ours.name, theirs.members)}
        for name, member in ours.members.items():
            same(member, theirs.members[name], kept, seen)
    elif ours.type_name == "list":
        same(ours.member, theirs.member, kept, seen)
    elif ours.type_name == "map":
        same(ours.value, theirs.value, kept, seen)
