"""What a variable's text means: a reader for each kind, whose ValueError says what to write."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from handler.instances.model import Agent

Tags = tuple[tuple[str, str], ...]
SHOWN = 300
"""Characters of a bad value that an error shows."""

_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True}
_BOOLEANS |= {"false": False, "0": False, "no": False, "off": False}
_AN_ID = r"[A-Za-z0-9._-]{1,64}"
_A_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_PRINTED = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
"""What a log line can show: no control characters, no half of a character."""

Reader = Callable[[str], Any]


def boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError("write true or false (1, 0, yes, no, on and off are taken, too)")
    return value


def whole(low: int, high: int) -> Reader:
    def read(text: str) -> int:
        fits = text.isascii() and text.isdigit() and len(text) <= len(str(high))
        if not fits or not low <= int(text) <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return int(text)

    return read


def one_of(kind: type[StrEnum]) -> Reader:
    def read(text: str) -> StrEnum:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"write {' or '.join(kind)}") from None

    return read


def matching(pattern: str, wanted: str) -> Reader:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"write {wanted}")
        return text

    return read


def text_up_to(longest: int) -> Reader:
    def read(text: str) -> str:
        if len(text) > longest or text != text.strip() or not _is_printed(text):
            raise ValueError(f"write at most {longest} characters, without blanks around them")
        return text

    return read


def capitals(*words: str) -> Reader:
    def read(text: str) -> str:
        if text.upper() not in words:
            raise ValueError(f"write {' or '.join(words)}")
        return text.upper()

    return read


def tags(text: str) -> Tags:
    """`key=value,...` as pairs; empty means no check."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    found = [(key.strip(), value.strip()) for key, _, value in pairs]
    if text and (not pairs or not _is_printed(text)):
        raise ValueError("it names no tag; to check none, leave it empty")
    if any(not sign or not key for (_, sign, _), (key, _) in zip(pairs, found, strict=True)):
        raise ValueError("write it as key=value,key=value")
    if any(len(key) > 128 or len(value) > 256 for key, value in found):
        raise ValueError("no tag has a key of over 128 or a value of over 256 characters")
    if len({key for key, _ in found}) < len(found):
        raise ValueError("it names a key twice")
    return tuple(found)


def agents(text: str) -> tuple[Agent, ...]:
    """`id,id=logical-id,...`; the first `=` divides. An entry is named by its place."""
    found, faults = dict[str, Agent](), []
    logical_ids = set[str]()
    for place, part in enumerate(text.split(","), 1):
        agent_id, sign, logical_id = (word.strip() for word in part.partition("="))
        if not re.fullmatch(_AN_ID, agent_id):
            faults.append(f"entry {place} has no id of 1 to 64 letters, digits, '.', '_' or '-'")
        if sign and not (0 < len(logical_id) <= 255 and _is_printed(logical_id)):
            faults.append(f"entry {place} has no logical id of 1 to 255 characters")
        if agent_id in found:
            faults.append(f"entry {place} names an id again")
        if logical_id in logical_ids:
            faults.append(f"entry {place} names a logical id again")
        found[agent_id] = Agent(agent_id, logical_id or None)
        logical_ids |= {logical_id} - {""}
    if faults:
        raise ValueError(", ".join(faults))
    return tuple(found.values())


def server_url(url: str) -> str:
    """The base URL in one spelling, without a slash at its end."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("it is no URL") from None
    if "@" in url:  # a password may hold a slash: what follows it looks like a path
        raise ValueError("it must not hold a user name or password (in a path, @ is written %40)")
    if not re.fullmatch(r"[!-~]+", url) or re.search(r"[?#\\]", url):
        raise ValueError("it must have no query, fragment, backslash, space or foreign letter")
    bracketed = "[" in parts.netloc
    if (
        parts.scheme not in {"http", "https"}
        or not _is_host(host, bracketed=bracketed)
        or port == 0
    ):
        raise ValueError("write it as https://host/path")
    if parts.scheme == "http" and not (_is_loopback(host) or host == SAM_HOST):
        raise ValueError("use https: plain http is for a loopback host only")
    netloc = f"[{host}]" if bracketed else host
    netloc += "" if port is None else f":{port}"
    return f"{parts.scheme}://{netloc}{parts.path}".rstrip("/")


SAM_HOST = "host.docker.internal"
"""The machine that `sam local` runs on, as its containers see it."""


def _is_printed(text: str) -> bool:
    return re.fullmatch(_PRINTED, text) is not None


def _is_host(host: str, *, bracketed: bool) -> bool:
    if not bracketed:
        labels = host.removesuffix(".").split(".")
        return len(host) <= 253 and all(re.fullmatch(_A_LABEL, label) for label in labels)
    try:
        return "%" not in host and ip_address(host).version == 6
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(value: object) -> str:
    """A bad value as an error shows it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
