"""What an AWS error means to a person: the cause, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.findings import Check, Finding, failed, warning


class Advice(NamedTuple):
    """For a person who has to mend it."""

    cause: str
    cure: str


_BY_CODE = {
    "EndpointConnectionError": Advice(
        "no connection to AWS's endpoint: its name does not resolve, or nothing listens there",
        "check AWS_ENDPOINT_URL and the variables that begin with it, which are not needed in AWS; in a VPC "
        "also its DNS settings",
    ),
    "ReadTimeoutError": Advice(
        "AWS's endpoint was reached, and does not answer in time: AWS, or what stands in between, is slow",
        "invoke the doctor again in a minute; look at https://health.aws.amazon.com, and at a proxy if "
        "HTTPS_PROXY names one",
    ),
    "ConnectionClosedError": Advice(
        "the connection to AWS's endpoint was closed before there was an answer",
        "invoke the doctor again; if it stays so, look for a proxy or a firewall in between",
    ),
    "ProxyConnectionError": Advice(
        "the proxy that HTTPS_PROXY names does not connect to AWS's endpoint",
        "mend the proxy, or remove HTTPS_PROXY from the function",
    ),
    "SSLError": Advice(
        "AWS's certificate is not accepted. REQUESTS_CA_BUNDLE holds for AWS's SDK as well: a bundle "
        "with nothing but your own CA shuts out AWS",
        "remove REQUESTS_CA_BUNDLE from the function: the backend's own CA is given by the stack's "
        "parameter BackendCaParameter",
    ),
    "ValueError": Advice(
        "the SDK cannot work with the address that it is given for the service",
        "correct AWS_ENDPOINT_URL and the variables that begin with it, or remove them: in AWS they "
        "are not needed",
    ),
}
"""Of errors that the SDK itself raises; their code is the exception's name."""
_BY_KIND = {
    ErrorKind.LOCKED_OUT: Advice(
        "AWS does not accept the function's credentials",
        "see that the function's role exists, and that the account may use this region; credentials "
        "of your own (a local run) may have expired",
    ),
    ErrorKind.NO_ANSWER: Advice(
        "AWS's endpoint does not answer in time: in a VPC there is most often no way to it",
        "in a VPC: give the subnets a NAT gateway or an interface endpoint of this service, and let "
        "the security group out to port 443",
    ),
    ErrorKind.THROTTLED: Advice(
        "the account asks AWS more often than AWS allows",
        "invoke the doctor again in a minute; the function itself waits and goes on",
    ),
    ErrorKind.FAULTY: Advice(
        "AWS itself is in trouble",
        "look at https://health.aws.amazon.com; the next run tries again",
    ),
    ErrorKind.NO_SUCH_CALL: Advice(
        "the endpoint does not know the call: it is an emulator, or not AWS",
        "check AWS_ENDPOINT_URL and the variables that begin with it",
    ),
}
_OTHER = Advice(
    "AWS does not carry out the call",
    "look up the error's code in the documentation of the service's API",
)


def advice(error: AwsError, permission: str) -> Advice:
    """Cause and cure.

    Args:
        error: what AWS said.
        permission: what the function's role must allow for the call.
    """
    if error.denied:
        return Advice(f"the function's role lacks {permission}", allow(permission))
    return _BY_CODE.get(error.code) or _BY_KIND.get(error.kind, _OTHER)


def allow(permission: str) -> str:
    """How the role gets a permission."""
    return (
        f"allow {permission} to the function's role. The template does: if somebody changed the role by "
        "hand, change it back (deploying the same template again does not); if nobody did, a permissions "
        "boundary or a service control policy forbids it"
    )


def aws_failed(check: Check, error: AwsError, permission: str, where: str = "") -> Finding:
    """AWS did not do what the check asked; `where` stands before the error. Throttled is a warning."""
    judge = warning if error.kind is ErrorKind.THROTTLED else failed
    return judge(check, f"{where}{error}", *advice(error, permission))
