"""What stops a request on its way to the backend: read off the HTTP client's exception, by types and codes alone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from enum import Enum

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)

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
    PROXY = Advice(
        "the proxy that HTTPS_PROXY names lets no request through",
        "mend the proxy, have it let the backend's host through, or name that host in NO_PROXY",
    )
    SILENCE = Advice(
        "no connection can be made: a security group, network ACL or route lets nothing through",
        "let the function's security group out to the backend's port, give private subnets a NAT "
        "gateway, let the backend's own firewall in",
    )
    SLOW = Advice(
        "it takes connections, and its answer does not come in time: the backend, or its database, is slow "
        "or hangs",
        "look at the backend's load and log, then at its database; the network lets requests through",
    )
    LATE = Advice(
        "neither an answer nor an error comes in time: a name server that does not answer, or a backend that "
        "answers byte by byte",
        "in a VPC see that its name server can be reached; then look at the backend's load and log",
    )
    BROKEN = Advice(
        "the connection ends in the middle: the backend crashes, or something in between closes it",
        "read the backend's log, and that of the load balancer before it",
    )
    UNTRUSTED = Advice(
        "the certificate is by an authority that the function does not know: a private CA, or "
        "somebody in between",
        "if the CA is yours, put its certificate (PEM) into an SSM parameter, and the parameter's name into "
        "the stack's parameter BackendCaParameter; if it is not, do not",
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
        "the certificates that the function is to trust cannot be read",
        "put the CA's certificates in PEM into the SSM parameter that BackendCaParameter names; "
        "REQUESTS_CA_BUNDLE, if somebody has set it on the function, is not needed: remove it",
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
    (ProxyError, Barrier.PROXY),
    (NameResolutionError, Barrier.NAME),
    (socket.gaierror, Barrier.NAME),
    (ConnectionRefusedError, Barrier.REFUSED),
    (ssl.SSLError, Barrier.HANDSHAKE),
    (ConnectTimeoutError, Barrier.SILENCE),
    (NewConnectionError, Barrier.SILENCE),  # no route to the host or its network
    (ReadTimeoutError, Barrier.SLOW),
    (requests.ReadTimeout, Barrier.SLOW),
)
"""The first that fits: urllib3 made a connection, or it did not (urllib3, "exceptions")."""


def barrier_of(error: BaseException, *, connected: bool) -> Barrier:
    """What stopped the request.

    Args:
        error: what the call raised. Where no HTTP error is behind it, the answer was too long or too
            slow, or the request could not even be prepared.
        connected: whether an answer had begun.
    """
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return _VERIFICATION.get(one.verify_code, Barrier.HANDSHAKE)
    if not any(isinstance(one, (HTTPError, requests.RequestException)) for one in chain):
        return Barrier.SLOW if connected else Barrier.BUNDLE
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
