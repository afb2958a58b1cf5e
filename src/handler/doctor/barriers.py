"""Reads off an HTTP client's exception what stopped the request, by types and codes alone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import requests
from urllib3.exceptions import NameResolutionError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from handler.doctor.ports import Barrier

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
