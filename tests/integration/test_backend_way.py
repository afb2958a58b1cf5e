"""The way to the backend: TLS, proxies, and that the token goes to nobody else."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from handler.backend.errors import BackendError
from tests.integration.certificates import Authority
from tests.integration.conftest import TOKEN
from tests.integration.scripted import LIST, REPORT, Exchange, ScriptedBackend
from tests.integration.world import Account
from tools.ec2_emulator import Emulator
from tools.ec2_emulator.clock import ManualClock

# TLS.


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure(
    aws: Emulator, ec2_clock: ManualClock, authority: Authority
) -> Iterator[tuple[Account, ScriptedBackend]]:
    """An account whose backend speaks TLS with the private authority's certificate."""
    with ScriptedBackend(TOKEN, tls=authority.server("127.0.0.1")) as backend:
        account = Account(aws, ec2_clock, backend.url, "agent-1")
        account.give(TOKEN)
        yield account, backend


def test_a_private_authority_works_once_it_is_named(
    secure: tuple[Account, ScriptedBackend], authority: Authority
) -> None:
    account, backend = secure
    (one,) = account.launch()
    backend.mark(one)
    account.fails(r"no answer .*certificate verify failed")
    assert backend.seen == [], "the token is not sent to who cannot be known"

    trusting = str(authority.bundle)
    assert account.counts(REQUESTS_CA_BUNDLE=trusting) == {"listed": 1, "terminated": 1}
    assert backend.successes(one) == 1


# Proxies.


@pytest.fixture
def proxy() -> Iterator[ScriptedBackend]:
    """Speaks to clients as a proxy; refuses what it is not told to let through."""
    with ScriptedBackend("") as server:
        yield server


def lets_through(exchange: Exchange) -> None:
    """Connect to whom the client named, and carry bytes both ways until either side ends."""
    host, _, port = exchange.handler.path.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as beyond:
        exchange.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        client = exchange.handler.connection
        back = threading.Thread(target=carry, args=(beyond, client), daemon=True)
        back.start()
        carry(client, beyond)
    exchange.hang_up()


def carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def test_https_goes_through_the_environments_proxy_which_never_sees_the_token(
    secure: tuple[Account, ScriptedBackend], authority: Authority, proxy: ScriptedBackend
) -> None:
    account, backend = secure
    (one,) = account.launch()
    backend.mark(one)
    target = backend.url.removeprefix("https://")
    proxy.always_meets(target, lets_through)
    assert account.counts(
        REQUESTS_CA_BUNDLE=str(authority.bundle), HTTPS_PROXY=proxy.url, NO_PROXY="localhost"
    ) == {"listed": 1, "terminated": 1}
    assert backend.successes(one) == 1
    assert {asked for asked, _ in proxy.seen} == {target}
    assert all("authorization" not in headers for _, headers in proxy.seen)


def test_no_proxy_is_heeded(
    secure: tuple[Account, ScriptedBackend], authority: Authority, proxy: ScriptedBackend
) -> None:
    account, backend = secure
    (one,) = account.launch()
    backend.mark(one)
    assert account.counts(
        REQUESTS_CA_BUNDLE=str(authority.bundle), HTTPS_PROXY=proxy.url, NO_PROXY="127.0.0.1"
    ) == {"listed": 1, "terminated": 1}
    assert proxy.seen == []


def test_a_proxy_that_refuses_fails_the_run_without_the_proxys_password_in_the_error(
    account: Account, proxy: ScriptedBackend
) -> None:
    account.server_url = "https://backend.invalid"
    account.secrets.add("hunter2")
    with_password = proxy.url.replace("://", "://user:hunter2@")
    account.fails(r"no answer .*proxy", HTTPS_PROXY=with_password)
    assert {asked for asked, _ in proxy.seen} == {"backend.invalid:443"}
    assert all(TOKEN not in str(headers) for _, headers in proxy.seen)


def test_plain_http_to_loopback_never_goes_through_a_proxy(
    account: Account, scripted: ScriptedBackend, proxy: ScriptedBackend
) -> None:
    (one,) = account.launch()
    scripted.mark(one)
    # AWS's endpoint is on loopback as well, so that a run through this proxy cannot succeed.
    with contextlib.suppress(BackendError):
        account.run(CLIENT_TOKEN=TOKEN, HTTP_PROXY=proxy.url)
    assert all("authorization" not in headers for asked, headers in proxy.seen if asked == LIST)


# Secrets.


@pytest.mark.parametrize("call", [LIST, REPORT])
def test_a_page_that_repeats_the_requests_headers_does_not_carry_the_token_into_the_log(
    account: Account, scripted: ScriptedBackend, call: str
) -> None:
    (one,) = account.launch()
    scripted.mark(one)
    scripted.always_meets(
        call, lambda exchange: exchange.answer(400, json.dumps(dict(exchange.headers)).encode())
    )
    if call == LIST:
        account.fails("HTTP 400")
    else:
        assert account.counts() == {"listed": 1, "unreported": 1}
