"""What stops a request on its way to the backend: read off the HTTP client's exception, by types and codes alone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from enum import Enum

import requests
from urllib3.exceptions import NameResolutionError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from handler.doctor.advice import Advice


class Barrier(Enum):
    """What stopped the request: cause and cure."""

    NAME = Advice(
        "the host's name does not resolve",
        "check the host in SERVER_URL; in a VPC also its DNS settings and private hosted zones",
    )
    REFUSED = Advice(
        "nothing listens there: the backend is down, or the port is another one",
        "start the backend; check host and port in SERVER_URL",
    )
    SILENCE = Advice(
        "nothing answers in time: a security group, network ACL or route lets nothing through, or "
        "the backend hangs",
        "let the function's security group out to the backend's port, give private subnets a NAT "
        "gateway, let the backend's own firewall in; then check the backend's load",
    )
    BROKEN = Advice(
        "the connection ends in the middle: the backend crashes, or something in between closes it",
        "read the backend's log, and that of the load balancer before it",
    )
    UNTRUSTED = Advice(
        "the certificate is by an authority that the function does not know: a private CA, or "
        "somebody in between",
        "if the CA is yours, put its certificate and the public authorities' into one file of a layer, "
        "and set REQUESTS_CA_BUNDLE to it (/opt/...; AWS's SDK uses it as well); if it is not, do not",
    )
    EXPIRED = Advice(
        "the backend's certificate has expired",
        "renew the certificate on the backend",
    )
    WRONG_NAME = Advice(
        "the certificate is for another name than the one in SERVER_URL",
        "write the certificate's name into SERVER_URL, or give the backend a certificate for its own",
    )
    HANDSHAKE = Advice(
        "no TLS could be agreed on: another protocol or only old versions are spoken on this port",
        "check the port in SERVER_URL; let the backend offer TLS 1.2 or newer",
    )
    BUNDLE = Advice(
        "REQUESTS_CA_BUNDLE names no file that can be read",
        "point REQUESTS_CA_BUNDLE to the CA's and the public authorities' certificates in PEM, in a "
        "layer under /opt",
    )

    @property
    def of_tls(self) -> bool:
        """Whether the backend takes connections, and TLS is what fails."""
        return self in _OF_TLS


_OF_TLS = frozenset(
    {
        Barrier.UNTRUSTED,
        Barrier.EXPIRED,
        Barrier.WRONG_NAME,
        Barrier.HANDSHAKE,
        Barrier.BUNDLE,
    }
)
_VERIFICATION = {
    2: Barrier.UNTRUSTED,
    10: Barrier.EXPIRED,
    18: Barrier.UNTRUSTED,
    19: Barrier.UNTRUSTED,
    20: Barrier.UNTRUSTED,
    21: Barrier.UNTRUSTED,
    62: Barrier.WRONG_NAME,
    64: Barrier.WRONG_NAME,
}
"""OpenSSL's verification errors (X509_V_ERR_*): issuers unknown or self-signed, expired, and a
certificate for another name or address."""
_TYPES: tuple[tuple[type[BaseException], Barrier], ...] = (
    (NameResolutionError, Barrier.NAME),
    (socket.gaierror, Barrier.NAME),
    (ConnectionRefusedError, Barrier.REFUSED),
    (ssl.SSLError, Barrier.HANDSHAKE),
    (Urllib3TimeoutError, Barrier.SILENCE),
    (requests.Timeout, Barrier.SILENCE),
    (TimeoutError, Barrier.SILENCE),
)


def barrier_of(error: BaseException) -> Barrier:
    """What stopped the request."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return _VERIFICATION.get(one.verify_code, Barrier.HANDSHAKE)
    for kind, barrier in _TYPES:
        if any(isinstance(one, kind) for one in chain):
            return barrier
    return Barrier.BROKEN


def innermost(error: BaseException) -> str:
    """What the innermost exception says: the outer ones only repeat it, with the whole URL."""
    return str(list(_chain(error))[-1])


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and what it was made of: requests and urllib3 wrap in arguments as well."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        yield current
        wrapped = [one for one in current.args if isinstance(one, BaseException)]
        inner = [getattr(current, "reason", None), current.__cause__, *wrapped]
        current = next((one for one in inner if isinstance(one, BaseException)), None)
