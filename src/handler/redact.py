"""No secret leaves the process: not in the log, at any level, nor in what is returned or sent.

What a secret is: the client tokens, once fetched; proxies' passwords and the function's own AWS keys,
from the environment; in any text, what stands between `://` and `@`, and behind `Bearer`.

A token that is a common word or a number, or is shorter than 6 characters, is hidden behind
`Bearer` alone: it could not be hidden without making everything else unreadable, and could be guessed
anyway. Of a token of 20 characters or more a piece is hidden, too, if it is its beginning and has 12:
texts are cut before they are logged.

Other people's loggers say nothing below WARNING: botocore's DEBUG holds bodies and headers.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "[hidden]"
SHORTEST, SHORTEST_WORD = 6, 11
HEAD, SHORTEST_CUT = 12, 20
LIBRARIES = ("aws_lambda_powertools", "boto3", "botocore", "requests", "s3transfer", "urllib3")

_known: list[str] = []
_spelled: list[re.Pattern[str]] = []
_marks: list[str] = ["://", "earer", "EARER"]
"""A text without any of these holds nothing to hide, in JSON or not: the rules' own, and the beginning of
each secret, as far as no spelling changes it."""
_SPELLED_OTHERWISE = re.compile(r"[^A-Za-z0-9._~-]")
"""What JSON, `repr` or a URL may show in another way."""
_ESCAPES = {"\\": r"\\+", '"': r"\\*\"", "'": r"\\*'", "/": r"\\*/"}
"""How JSON, `repr`, or one within the other, show what they escape."""
_USERINFO = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
_BEARER = re.compile(r"(?i)(?<=bearer)((?:\s|\\t|%20)+)[^\s\"',\\]+")


def learn(secret: str) -> None:
    """From now on hide this, in whatever spelling it is repeated."""
    if secret in _known or not _can_be_hidden(secret):
        return
    _known.append(secret)
    _marks.append(_SPELLED_OTHERWISE.split(secret[:HEAD], maxsplit=1)[0])
    quoted = quote(secret, safe="")
    if quoted != secret:
        _known.append(quoted)
    if not _ESCAPES.keys().isdisjoint(secret):
        pattern = "".join(_ESCAPES.get(char) or re.escape(char) for char in secret)
        _spelled.append(re.compile(pattern))


def learn_environment(environment: Mapping[str, str]) -> None:
    """What the environment holds that must not be told."""
    for name in ("CLIENT_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        learn(environment.get(name) or "")
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SERVER_URL"):
        for url in (environment.get(name), environment.get(name.lower())):
            # Malformed ones, too: whatever is not understood is quoted in some error.
            user, at, _ = (url or "").rpartition("@")
            password = user.partition("//")[2] or user
            if at:
                for part in (password, password.partition(":")[2]):
                    learn(part)
                    learn(unquote(part))


def forget() -> None:
    """Start anew: for tests, which have other secrets each."""
    _known.clear()
    _spelled.clear()
    del _marks[3:]


def _can_be_hidden(secret: str) -> bool:
    if len(secret) < SHORTEST:
        return False
    return len(secret) >= SHORTEST_WORD or not (secret.isalpha() or secret.isdigit())


def text(said: str) -> str:
    """The same without secrets."""
    said = _without(said, [place for secret in _known for place in _places(said, secret)])
    for pattern in _spelled:
        said = pattern.sub(HIDDEN, said)
    if "://" in said:
        said = _USERINFO.sub(f"{HIDDEN}@", said)
    if "earer" in said or "EARER" in said:
        said = _BEARER.sub(rf"\1{HIDDEN}", said)
    return said


def _places(said: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where a secret stands in a text, from and to; of a long one its beginning, as far as it goes."""
    head = secret[:HEAD] if len(secret) >= SHORTEST_CUT else secret
    at = said.find(head)
    while at >= 0:
        end = at + len(head)
        for expected in secret[len(head) :]:
            if said[end : end + 1] != expected:
                break
            end += 1
        yield at, end
        at = said.find(head, end)


def _without(said: str, places: Sequence[tuple[int, int]]) -> str:
    """Each of these hidden; those that overlap (secrets that begin alike) as one."""
    shown, upto = [], 0
    for begin, end in sorted(places):
        if begin >= upto:
            shown += [said[upto:begin], HIDDEN]
        upto = max(upto, end)
    return "".join([*shown, said[upto:]])


def tree(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same without secrets in its strings; what JSON does not know becomes a text."""
    match value:
        case str():
            return text(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {key: tree(inner) for key, inner in value.items()}
        case list() | tuple():
            return [tree(inner) for inner in value]
        case _:
            return text(str(value))


def dumps(value: object) -> str:
    """JSON without secrets, on one line.

    Most lines hold none: looking through each of its texts would take four times as long as writing it.
    """
    said = json.dumps(value, separators=(",", ":"), default=str)
    if any(mark in said for mark in _marks):
        return json.dumps(tree(value), separators=(",", ":"))
    return said


def guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A Lambda handler whose answer and exception hold no secret."""

    @wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the handler's own
        learn_environment(os.environ)
        try:
            return tree(handler(*args, **kwargs))
        except Exception as error:
            said = str(error)
            shown = text(said)
            if shown == said:
                raise
            error.args = (shown,)
            if str(error) == shown:
                raise
            raise RuntimeError(f"{type(error).__name__}: {shown}") from None

    return wrapped


def quiet(own: str) -> None:
    """From now on loggers other than `own` tell nothing below WARNING, and no secret above.

    In the record itself, so that it holds for every handler, whatever the loggers' levels are.
    """
    make = logging.getLogRecordFactory()

    def record(name: str, level: int, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401
        made = make(name, level, *args, **kwargs)
        if name == own:
            return made
        said = "(not shown: a library's, below WARNING)"
        if level >= logging.WARNING:
            trouble = made.exc_info and made.exc_info[1]
            said = text(_message(made) + (f": {trouble!r}" if trouble else ""))
        made.msg, made.args, made.exc_info, made.stack_info = said, (), None, None
        return made

    logging.setLogRecordFactory(record)
    logging.captureWarnings(capture=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _message(record: logging.LogRecord) -> str:
    """Its message, or its parts where they do not fit together: logging never raises."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whatever an argument's own text raises
        return f"{record.msg} {record.args}"
