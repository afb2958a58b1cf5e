"""AWS's errors by their code, in one place; nothing is ever decided by a message's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from handler.aws.errors import AwsError, ErrorKind

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
MISSING = frozenset(
    {
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
        "InvalidInstanceID.NotFound",
        "InvalidSnapshot.NotFound",
        "InvalidSpotInstanceRequestID.NotFound",
        "InvalidVolume.NotFound",
    }
)
MAYBE_MISSING = frozenset({"InvalidAMIID.Unavailable"})
"""Said of what was deregistered a while ago, and also of an image "not in a state" for the call, a pending one
for instance (EC2 API, "Error codes"; https://github.com/SUSE-Enceladus/ec2imgutils/issues/45)."""
IN_USE = frozenset({"InvalidSnapshot.InUse"})
NO_SUCH_CALL = frozenset({"InvalidAction", "UnknownOperationException", "NoSuchCallError"})
"""The endpoint does not know the operation: a region, or an emulator, that does not have it yet."""
LOCKED_OUT = frozenset(
    {
        "AuthFailure",
        "Blocked",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "PendingVerification",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
SDK_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
"""All that a call through botocore may raise; half an answer raises the last one."""
NOT_AWS = AwsError(
    "NotAnAnswer", "the answer is not AWS's: is a proxy in between?", ErrorKind.NO_ANSWER
)
"""For a well-formed answer of HTTP 200 that holds nothing of what was asked for."""
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
"""The caller lacks a permission."""
DRY_RUN_ALLOWED = "DryRunOperation"
"""EC2's answer to a DryRun that would have been carried out."""

_RESOURCE_ID = re.compile(r"\b(?:i|sir)-[0-9a-z]{8,17}\b")


def read(error: BotoCoreError | ClientError | ResponseParserError) -> AwsError:
    """Read an SDK exception as a value of the domain."""
    if not isinstance(error, ClientError):
        name = type(error).__name__
        kind = ErrorKind.NO_ANSWER
        if isinstance(error, NoCredentialsError):
            kind = ErrorKind.LOCKED_OUT
        elif name in NO_SUCH_CALL:
            kind = ErrorKind.NO_SUCH_CALL
        return AwsError(name, str(error), kind)
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
        denied=code in DENIED,
    )


def lacks(answer: Mapping[str, Any], key: str) -> bool:
    """Whether an answer does not hold what every answer of AWS's holds; it is `NOT_AWS` then."""
    return answer.get(key) is None


def _kind(code: str, status: int) -> ErrorKind:
    for codes, kind in _KINDS:
        if code in codes:
            return kind
    if status == 429:
        return ErrorKind.THROTTLED
    return ErrorKind.FAULTY if status >= 500 else ErrorKind.REFUSED


_KINDS = (
    (THROTTLES, ErrorKind.THROTTLED),
    (MISSING, ErrorKind.MISSING),
    (IN_USE, ErrorKind.IN_USE),
    (NO_SUCH_CALL, ErrorKind.NO_SUCH_CALL),
    (LOCKED_OUT, ErrorKind.LOCKED_OUT),
)
