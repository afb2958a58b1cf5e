"""The HTTP session: whom it trusts, whom it goes through, and what it keeps."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from aws_lambda_powertools.utilities.parameters import GetParameterError

from handler.backend.api import BackendApi
from handler.backend.errors import BackendError
from handler.backend.session import open_session
from handler.backend.token import ClientToken, private_ca
from tests.integration.certificates import Authority
from tests.integration.scripted import LIST, Exchange, ScriptedBackend

TOKEN = "s3cret-token"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_never_leaves_the_host_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    session = open_session("http://127.0.0.1:5000", 2, {name: "http://proxy.example:3128"})
    assert session.proxies == {}
    assert session.trust_env is False


def test_cookies_are_not_kept() -> None:
    policy = open_session("https://b.example", 2, {}).cookies.get_policy()
    assert isinstance(policy, DefaultCookiePolicy)
    assert policy.is_not_allowed("b.example")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure(authority: Authority) -> Iterator[ScriptedBackend]:
    """A backend with a certificate of the private authority."""
    with ScriptedBackend(TOKEN, tls=authority.server("127.0.0.1")) as server:
        yield server


@contextmanager
def backend_at(url: str, **given: Any) -> Iterator[BackendApi]:
    held = ClientToken(TOKEN, "", Mock())
    with open_session(url, 4, given.pop("environment", {}), **given) as session:
        yield BackendApi(session, url, "agent-1", held, lambda _: None)


def test_a_private_ca_is_trusted_beside_the_public_ones(
    secure: ScriptedBackend, authority: Authority
) -> None:
    pem = authority.bundle.read_text()
    with backend_at(secure.url, private_ca=pem) as api:
        assert api.list(lambda: 5).instances == []
    with open_session(secure.url, 2, {}, private_ca=pem) as session:
        context = session.get_adapter(secure.url)._context  # type: ignore[attr-defined]
    assert context.cert_store_stats()["x509_ca"] > 100


def test_a_private_ca_that_cannot_be_read_is_named(secure: ScriptedBackend) -> None:
    with pytest.raises(OSError, match="BACKEND_CA_PARAMETER's parameter holds no certificates"):
        open_session(secure.url, 2, {}, private_ca="no certificate")


def test_a_private_ca_s_parameter_that_cannot_be_had_is_named() -> None:
    provider: Any = SimpleNamespace(get=Mock(side_effect=GetParameterError("AccessDenied: no")))
    with pytest.raises(OSError, match=r"/the/ca \(BACKEND_CA_PARAMETER\).*AccessDenied"):
        private_ca(provider, "/the/ca")


def test_a_bundle_of_the_operator_s_is_trusted(
    secure: ScriptedBackend, authority: Authority
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        with backend_at(secure.url, environment={name: str(authority.bundle)}) as api:
            assert api.list(lambda: 5).instances == []
    with pytest.raises(OSError, match="No such file"):
        open_session(secure.url, 2, {"REQUESTS_CA_BUNDLE": "/no/such/file"})


def test_an_unknown_ca_and_a_wrong_name_are_refused_before_the_token_is_sent(
    secure: ScriptedBackend, authority: Authority
) -> None:
    with (
        backend_at(secure.url) as api,
        pytest.raises(BackendError, match="certificate verify failed"),
    ):
        api.list(lambda: 5)
    elsewhere = secure.url.replace("127.0.0.1", "localhost")
    with (
        backend_at(elsewhere, private_ca=authority.bundle.read_text()) as api,
        pytest.raises(BackendError, match="certificate verify failed"),
    ):
        api.list(lambda: 5)
    assert secure.seen == []


def test_all_connections_share_one_tls_context(
    secure: ScriptedBackend, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read the public CAs takes 17 ms, and a seventh of a processor has 120 ms a second."""
    loads: list[object] = []
    real = ssl.SSLContext.load_verify_locations

    def counted(self: ssl.SSLContext, *given: Any, **named: Any) -> None:
        loads.append(given or named)
        real(self, *given, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)

    def hang_up(exchange: Exchange) -> None:
        exchange.genuine(Connection="close")
        exchange.hang_up()

    secure.always_meets(LIST, hang_up)
    bundle = {"REQUESTS_CA_BUNDLE": str(authority.bundle)}
    with backend_at(secure.url, environment=bundle) as api:
        made = len(loads)
        for _ in range(3):
            api.list(lambda: 5)
    assert secure.count(LIST) == 3
    assert len(loads) == made
