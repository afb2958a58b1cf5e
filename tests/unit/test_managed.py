"""What AWS services run is asked for, whatever version of boto3 the runtime brings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore import xform_name

from handler.aws.clients import Limits, aws_client, aws_session
from handler.aws.managed import LISTS


@pytest.mark.parametrize("operation", LISTS)
def test_a_boto3_that_does_not_know_the_parameter_sends_it(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    ec2 = aws_client(aws_session("us-east-1"), "ec2", Limits())
    model = ec2.meta.service_model.operation_model(operation).input_shape
    del model.members["IncludeManagedResources"]  # as in a boto3 of before
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> Any:
        sent.append(request.body)
        return SimpleNamespace(status_code=200, headers={}, content=b"<R/>", text="", raw=None)

    ec2.meta.events.register(f"before-send.ec2.{operation}", answer)
    getattr(ec2, xform_name(operation))()
    (body,) = sent
    assert "IncludeManagedResources=true" in body
