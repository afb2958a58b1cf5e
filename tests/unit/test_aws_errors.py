"""AWS's errors by code, and the ids that its messages name."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from handler.aws import error_codes
from handler.aws.errors import ErrorKind


def client_error(code: str | None, message: str | None = "m", status: int = 400) -> ClientError:
    error = {k: v for k, v in (("Code", code), ("Message", message)) if v is not None}
    return ClientError(
        {
            "Error": error,  # type: ignore[typeddict-item]
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "req-1"},  # type: ignore[typeddict-item]
        },
        "TerminateInstances",
    )


THROTTLES = (
    *("BandwidthLimitExceeded", "EC2ThrottledException", "PriorRequestNotComplete"),
    *("ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled"),
    *("RequestThrottledException", "SlowDown", "Throttling", "ThrottlingException"),
    *("ThrottledException", "TooManyRequestsException"),
)
"""ec2.md, "Throttling", and botocore's own."""
MISSING = (
    *("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidInstanceID.NotFound"),
    *("InvalidSnapshot.NotFound", "InvalidSpotInstanceRequestID.NotFound"),
)
LOCKED_OUT = (
    *("AuthFailure", "Blocked", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature"),
    *("IncompleteSignatureException", "InvalidClientTokenId", "InvalidSignatureException"),
    *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired"),
    *("PendingVerification", "RequestExpired", "SignatureDoesNotMatch"),
    "UnrecognizedClientException",
)


@pytest.mark.parametrize("code", THROTTLES)
@pytest.mark.parametrize("status", [400, 503])
def test_throttles_are_throttles_whatever_their_status(code: str, status: int) -> None:
    assert error_codes.read(client_error(code, status=status)).kind is ErrorKind.THROTTLED


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        *((code, 400, ErrorKind.MISSING) for code in MISSING),
        *((code, 403, ErrorKind.LOCKED_OUT) for code in LOCKED_OUT),
        ("InvalidSnapshot.InUse", 400, ErrorKind.IN_USE),
        ("InvalidAction", 400, ErrorKind.NO_SUCH_CALL),
        ("UnknownOperationException", 400, ErrorKind.NO_SUCH_CALL),
        ("UnauthorizedOperation", 403, ErrorKind.REFUSED),
        ("OperationNotPermitted", 400, ErrorKind.REFUSED),
        ("InvalidInstanceID.Malformed", 400, ErrorKind.REFUSED),
        ("IncorrectInstanceState", 400, ErrorKind.REFUSED),
        ("SomethingNew", 400, ErrorKind.REFUSED),
        ("InternalError", 500, ErrorKind.FAULTY),
        ("Unavailable", 503, ErrorKind.FAULTY),
        ("ServiceUnavailable", 503, ErrorKind.FAULTY),
        ("SomethingNew", 500, ErrorKind.FAULTY),
        ("SomethingNew", 429, ErrorKind.THROTTLED),
    ],
)
def test_each_code_has_its_meaning(code: str, status: int, kind: ErrorKind) -> None:
    found = error_codes.read(client_error(code, status=status))
    assert (found.kind, found.code, found.request_id) == (kind, code, "req-1")


def test_the_code_decides_and_never_the_words() -> None:
    """style.md, what to take 5."""
    found = error_codes.read(client_error("SomethingNew", "Throttling: Rate exceeded, not found"))
    assert found.kind is ErrorKind.REFUSED


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("The instance ID 'i-1234567890abcdef0' does not exist", {"i-1234567890abcdef0"}),
        ("The instance IDs 'i-12345678, i-87654321' do not exist", {"i-12345678", "i-87654321"}),
        ('Invalid id: "i-1234567890abcdef0"', {"i-1234567890abcdef0"}),
        (
            (
                "The instance 'i-1234567890abcdef0' may not be terminated. Modify its "
                "'disableApiTermination' instance attribute and try again."
            ),
            {"i-1234567890abcdef0"},
        ),
        (
            (
                "You are not authorized to perform this operation. User: "
                "arn:aws:sts::123456789012:assumed-role/cleanup/fn is not authorized to perform: "
                "ec2:TerminateInstances on resource: "
                "arn:aws:ec2:us-east-1:123456789012:instance/i-1234567890abcdef0 because no "
                "identity-based policy allows the ec2:TerminateInstances action. Encoded "
                "authorization failure message: abc-i-XYZ_0"
            ),
            {"i-1234567890abcdef0"},
        ),
        ("The spot instance request ID 'sir-08b93456' does not exist", {"sir-08b93456"}),
        ("Instance Id not found - No managed instance found for i-12345678", {"i-12345678"}),
        ("ami-12345678 and mi-12345678 and xi-12345678", set()),
        ("", set()),
    ],
)
def test_the_ids_that_a_message_names_are_found(message: str, named: set[str]) -> None:
    assert error_codes.read(client_error("Code", message)).named == named


def test_an_error_without_code_or_message_is_still_a_value() -> None:
    found = error_codes.read(client_error(None, None))
    assert str(found) == "Unknown: no message"
    assert error_codes.read(ClientError({}, "X")).kind is ErrorKind.REFUSED


@pytest.mark.parametrize(
    "raised",
    [
        ReadTimeoutError(endpoint_url="https://ec2"),
        ConnectTimeoutError(endpoint_url="https://ec2"),
        EndpointConnectionError(endpoint_url="https://ec2"),
        ConnectionClosedError(endpoint_url="https://ec2"),
        BotoCoreError(),
    ],
)
def test_no_answer_may_have_been_carried_out(raised: BotoCoreError) -> None:
    found = error_codes.read(raised)
    assert (found.kind, found.code) == (ErrorKind.NO_ANSWER, type(raised).__name__)
    assert found.request_id is None


def test_no_credentials_is_the_caller_s() -> None:
    assert error_codes.read(NoCredentialsError()).kind is ErrorKind.LOCKED_OUT
