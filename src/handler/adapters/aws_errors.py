"""AWS's errors by their code, in one place; nothing is ever decided by a message's words."""

from __future__ import annotations

import re

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from handler.domain.errors import AwsError, ErrorKind

THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
MISSING = frozenset({"InvalidInstanceID.NotFound", "InvalidSpotInstanceRequestID.NotFound"})
LOCKED_OUT = frozenset(
    {
        "AuthFailure",
        "Blocked",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "PendingVerification",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
DRY_RUN_ALLOWED = "DryRunOperation"
"""EC2's answer to a DryRun that would have been carried out."""

_RESOURCE_ID = re.compile(r"\b(?:i|sir)-[0-9a-z]{8,17}\b")


def read(error: BotoCoreError | ClientError) -> AwsError:
    """Read an SDK exception as a value of the domain."""
    if not isinstance(error, ClientError):
        kind = (
            ErrorKind.LOCKED_OUT if isinstance(error, NoCredentialsError) else ErrorKind.NO_ANSWER
        )
        return AwsError(type(error).__name__, str(error), kind)
    detail = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    code = detail.get("Code") or "Unknown"
    message = detail.get("Message") or "no message"
    return AwsError(
        code,
        message,
        _kind(code, metadata.get("HTTPStatusCode", 0)),
        frozenset(_RESOURCE_ID.findall(message)),
        metadata.get("RequestId"),
    )


def _kind(code: str, status: int) -> ErrorKind:
    if code in THROTTLES:
        return ErrorKind.THROTTLED
    if code in MISSING:
        return ErrorKind.MISSING
    if code in LOCKED_OUT:
        return ErrorKind.LOCKED_OUT
    if status >= 500:
        return ErrorKind.FAULTY
    return ErrorKind.REFUSED
