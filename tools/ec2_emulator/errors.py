"""An AWS error as an exception: what a handler raises and the protocol writes."""

from collections.abc import Iterable, Mapping
from typing import Any

_STATUS = {
    "AccessDenied": 403,
    "AuthFailure": 401,
    "DryRunOperation": 412,
    "EC2ThrottledException": 503,
    "ExpiredToken": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
    "UnauthorizedOperation": 403,
}


class AwsError(Exception):
    """One of AWS's errors; `extra` holds further members of a modelled JSON error."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status if status is not None else _STATUS.get(code, 400)
        self.extra = dict(extra or {})


def not_found(ids: Iterable[str], *, named: bool = True) -> AwsError:
    """Every unknown id of the call, as EC2 names them."""
    unknown = list(ids)
    text = (
        f"The instance ID '{unknown[0]}' does not exist"
        if len(unknown) == 1
        else f"The instance IDs '{', '.join(unknown)}' do not exist"
    )
    return AwsError("InvalidInstanceID.NotFound", text if named else "No such instance.")


def no_such_image(deregistered: Iterable[str], image_id: str) -> AwsError:
    code = "Unavailable" if image_id in deregistered else "NotFound"
    return AwsError(f"InvalidAMIID.{code}", f"The image ID '{image_id}' is not available")


def malformed(instance_id: str) -> AwsError:
    return AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')


def protected(instance_id: str) -> AwsError:
    return AwsError(
        "OperationNotPermitted",
        f"The instance '{instance_id}' may not be terminated. "
        "Modify its 'disableApiTermination' instance attribute and try again.",
    )


def throttled() -> AwsError:
    return AwsError("RequestLimitExceeded", "Request limit exceeded.")


def dry_run() -> AwsError:
    return AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
