"""No secret in any text that leaves the process, and nothing else changed."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import redact

SRC = Path(__file__).parents[2] / "src"
TOKEN = "s3cr3t-t0ken"
LONG = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.Et9HFtf9R3GEMA0IICOfFMVXY7kkTX1wr4qCyIf58U"


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    redact.forget()
    yield
    redact.forget()


@pytest.mark.parametrize("token", [TOKEN, "a'b\"c\\d/e%f", LONG, "0" * 16, "x" * 16, "tok3n!"])
@pytest.mark.parametrize(
    "spelled",
    [
        lambda token: token,
        lambda token: f"said: {token}, twice: {token}",
        lambda token: json.dumps({"error": token}),
        repr,
        lambda token: repr({"error": token}),
        lambda token: repr(json.dumps({"error": token})),
        lambda token: json.dumps(json.dumps(token)),
        lambda token: quote(token, safe=""),
    ],
)
def test_a_token_is_hidden_however_it_is_spelled(token: str, spelled: Any) -> None:
    redact.learn(token)
    shown = redact.text(spelled(token))
    assert redact.HIDDEN in shown
    assert token not in shown
    assert json.dumps(token)[1:-1] not in shown
    assert quote(token, safe="") not in shown


@pytest.mark.parametrize("length", [12, 20, len(LONG) - 1])
def test_a_token_that_was_cut_is_hidden(length: int) -> None:
    redact.learn(LONG)
    assert redact.text(f"'{LONG[:length]}...") == f"'{redact.HIDDEN}..."


@pytest.mark.parametrize("token", ["", "true", "t", "null", "token", "terminated", "12345678"])
def test_a_token_that_is_a_common_word_leaves_everything_readable(token: str) -> None:
    """Replaced wherever it stands, `true` once spoilt the acknowledgement itself."""
    redact.learn(token)
    said = {"success": True, "message": f"instance terminated: true, null token {token}", "n": 1}
    assert redact.tree(said) == said
    assert token not in redact.text(f"Authorization: Bearer {token}").split() or not token


@pytest.mark.parametrize("token", ["supersecret", "mysecrettoken", "31415926535"])
def test_a_word_or_number_too_long_to_be_common_is_hidden(token: str) -> None:
    redact.learn(token)
    assert redact.text(f"no client with {token}") == f"no client with {redact.HIDDEN}"


def test_what_is_no_text_stays_what_it_is() -> None:
    redact.learn(TOKEN)
    said = {"a": [1, 2.5, None, True, {"b": f"x{TOKEN}"}], "c": (ValueError(TOKEN),)}
    assert redact.tree(said) == {
        "a": [1, 2.5, None, True, {"b": f"x{redact.HIDDEN}"}],
        "c": [redact.HIDDEN],
    }
    assert json.loads(redact.dumps(said)) == redact.tree(said)


_TOKENS = st.text(alphabet="aé %\\\"'/=.:-_~B7", min_size=6, max_size=30)


@given(_TOKENS, st.booleans(), st.data())
def test_a_line_hides_what_each_of_its_texts_would(
    token: str, whole: bool, data: st.DataObject
) -> None:
    """Looked at once it is written, since most lines hold nothing to hide."""
    redact.forget()
    redact.learn(token)
    piece = token if whole else token[: data.draw(st.integers(6, 30))]
    other = data.draw(st.sampled_from(["", "x", "https://u:p@h", "Bearer ", "bearer\t", "ünd"]))
    said = {
        "said": f"{other}{piece}",
        "repr": [repr(piece), json.dumps(piece), quote(piece, safe="")],
        "n": (1, None, ValueError(other)),
    }
    assert redact.dumps(said) == json.dumps(redact.tree(said), separators=(",", ":"))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("http://user:pa55@proxy:3128/x", "http://[hidden]@proxy:3128/x"),
        ("see http://a:b@c and https://d:e@f.", "see http://[hidden]@c and https://[hidden]@f."),
        ("https://backend.example/a@b", "https://backend.example/a@b"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': 'Bearer [hidden]'}"),
        ("authorization: bearer  abc", "authorization: bearer  [hidden]"),
        ("mail to me@example.org", "mail to me@example.org"),
    ],
)
def test_what_is_a_secret_wherever_it_comes_from(said: str, shown: str) -> None:
    assert redact.text(said) == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pa55word!@proxy:3128",
        "http//user:pa55word!@proxy:3128",
        "user:pa55word!@proxy",
        "http://user:pa55word%21@proxy:port",
        "http://us/er:pa55word!@proxy",
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "SERVER_URL"])
def test_a_proxy_s_password_is_hidden_even_if_the_variable_is_malformed(
    name: str, url: str
) -> None:
    redact.learn_environment({name: url})
    for said in (f"Failed to parse: {url}", f"proxy pa55word! of {url!r}", "at pa55word!"):
        assert "pa55word" not in redact.text(said)


def test_a_proxy_s_password_is_hidden_as_it_is_written_too() -> None:
    redact.learn_environment({"HTTPS_PROXY": "http://user:pa55%21word@proxy:3128"})
    assert redact.text("a pa55%21word, and a pa55!word") == "a [hidden], and a [hidden]"


def test_the_function_s_own_keys_are_hidden() -> None:
    keys = {"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG", "AWS_SESSION_TOKEN": f"{LONG}=="}
    redact.learn_environment({**keys, "CLIENT_TOKEN": TOKEN})
    shown = redact.text(f"{keys} {TOKEN}")
    assert not any(secret in shown for secret in (*keys.values(), TOKEN))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6), st.text())
def test_any_token_that_can_be_hidden_is(token: str, around: str) -> None:
    redact.forget()
    redact.learn(token)
    if redact.text(token) != token:
        assert token not in redact.text(f"{around} {token} {around}").replace(redact.HIDDEN, " ")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_without_secrets_nothing_changes(value: Any) -> None:
    redact.forget()
    if "://" not in str(value) and "earer" not in str(value).lower():
        assert redact.tree(value) == value


def test_a_handler_s_answer_holds_no_secret() -> None:
    redact.learn(TOKEN)
    assert redact.guarded(lambda: {"text": f"said {TOKEN}"})() == {"text": "said [hidden]"}


class OddError(Exception):
    def __str__(self) -> str:
        return f"always {TOKEN}"


@pytest.mark.parametrize("error", [ValueError(f"a {TOKEN}"), KeyError(TOKEN), OddError()])
def test_a_handler_s_exception_holds_no_secret(error: Exception) -> None:
    redact.learn(TOKEN)

    def handler() -> None:
        raise error

    with pytest.raises((ValueError, RuntimeError)) as caught:
        redact.guarded(handler)()
    assert TOKEN not in f"{caught.value!s} {caught.value!r}"
    assert redact.HIDDEN in str(caught.value)
    assert type(caught.value) is type(error) or type(error).__name__ in str(caught.value)


def test_a_handler_s_other_exceptions_are_raised_as_they_are() -> None:
    error = KeyError("a")

    def handler() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        redact.guarded(handler)()
    assert caught.value is error
    assert error.args == ("a",)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the root logger's handler writes, its level DEBUG, as in Lambda by AWS_LAMBDA_LOG_LEVEL."""
    root, stream = logging.getLogger(), io.StringIO()
    before, factory = root.level, logging.getLogRecordFactory()
    handler = logging.StreamHandler(stream)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.setLogRecordFactory(logging.LogRecord)
    redact.quiet("mine")
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)
    logging.setLogRecordFactory(factory)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(
    "name", [*redact.LIBRARIES, "botocore.parsers", "urllib3.connectionpool", "anything", "root"]
)
def test_a_library_says_nothing_below_warning_and_no_secret_above(
    name: str, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    redact.learn(TOKEN)
    library = logging.getLogger(name if name != "root" else None)
    monkeypatch.setattr(library, "propagate", True)
    before = library.level
    library.setLevel(logging.DEBUG)
    try:
        library.debug("Response body:\n%s", {"Value": "unknown-secret"})
        library.info("headers: unknown-secret", exc_info=ValueError("unknown-secret"))
        library.warning("Retrying after %r", ValueError(TOKEN), exc_info=ValueError(f"x{TOKEN}"))
    finally:
        library.setLevel(before)
    assert "unknown-secret" not in written.getvalue()
    assert TOKEN not in written.getvalue()
    assert "Retrying after ValueError('[hidden]')" in written.getvalue()


def test_a_library_s_debug_lines_are_not_even_made(written: io.StringIO) -> None:
    for name in redact.LIBRARIES:
        assert not logging.getLogger(f"{name}.some.part").isEnabledFor(logging.INFO)


def test_the_functions_own_lines_are_left_to_its_formatter(written: io.StringIO) -> None:
    logging.getLogger("mine").debug("a %s", "b")
    assert written.getvalue() == "a b\n"


def test_a_warning_holds_no_secret(written: io.StringIO) -> None:
    redact.learn(TOKEN)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"Unverified request to {TOKEN}", stacklevel=1)
    assert "Unverified request to [hidden]" in written.getvalue()


PROGRAM = """
import logging, handler.{module}
from handler import redact
from handler.telemetry import logger
redact.learn("s3cr3t-t0ken")
try:
    raise ValueError("in s3cr3t-t0ken")
except ValueError:
    logger.exception("message s3cr3t-t0ken", extra={{"a": ["s3cr3t-t0ken"], "ok": True, "n": 1}})
"""


@pytest.mark.parametrize("module", ["termination", "housekeeping"])
def test_the_function_s_own_log_holds_no_secret(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    line = json.loads(done.stdout)
    assert TOKEN not in done.stdout + done.stderr
    assert (line["message"], line["a"], line["ok"], line["n"]) == (
        "message [hidden]",
        ["[hidden]"],
        True,
        1,
    )
    assert "ValueError: in [hidden]" in line["exception"]


HEAD = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."


@pytest.mark.parametrize(
    ("secrets", "said", "shown"),
    [
        ([f"{HEAD}{'A' * 20}", f"{HEAD}{'B' * 20}"], f"'{HEAD}{'B' * 20}'", "'[hidden]'"),
        ([f"{HEAD}{'A' * 20}", f"{HEAD}{'B' * 20}"], f"{HEAD}BBB, cut", "[hidden], cut"),
        (["team-a", "team-a-9f3c77x"], "team-a-9f3c77x refused", "[hidden] refused"),
        (["9f3c77xx", "77xx-team"], "9f3c77xx-team", "[hidden]"),
    ],
)
def test_secrets_that_begin_alike_or_overlap_are_hidden_whole(
    secrets: list[str], said: str, shown: str
) -> None:
    for one in secrets:
        redact.learn(one)
    assert redact.text(said) == shown


def test_a_library_s_message_that_does_not_fit_its_arguments_raises_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factories: list[Any] = []
    monkeypatch.setattr(logging, "setLogRecordFactory", factories.append)
    monkeypatch.setattr(logging, "captureWarnings", lambda capture: None)
    redact.quiet("own")
    redact.learn(TOKEN)
    record = factories[0](
        "urllib3", logging.WARNING, "f", 1, "%d items of %s", ("many", TOKEN), None
    )
    assert "items" in record.getMessage()
    assert TOKEN not in record.getMessage()
