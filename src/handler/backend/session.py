"""The HTTP session to the backend: one TLS context, one host, nothing that is not asked for."""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Where requests looks for a CA bundle of the operator's."""


class _Session(requests.Session):
    """requests reads a redirect's body and target even where it is told not to follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No answer is a redirect: the token goes to the configured host, and to no other."""


class _Adapter(HTTPAdapter):
    """Hands every connection the same TLS context.

    requests has each new connection read the whole CA bundle again, which costs 17 ms of processor
    time: eight times in a burst, and a seventh of a processor has 120 ms of it a second.
    """

    def __init__(self, context: ssl.SSLContext | None, at_once: int) -> None:
        self._context = context
        self._pool: Any = None
        super().__init__(pool_connections=1, pool_maxsize=at_once, max_retries=0)

    def get_connection_with_tls_context(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - requests' signature
        """There is one host: its pool is worked out once, not for each report."""
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*given, **more)
        return self._pool

    def build_connection_pool_key_attributes(
        self,
        request: Any,  # noqa: ANN401 - requests' signature, here and below
        verify: Any,  # noqa: ANN401
        cert: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The host's part as requests has it; of TLS nothing but the context."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {} if self._context is None else {"ssl_context": self._context}

    def proxy_manager_for(self, proxy: str, **given: Any) -> Any:  # noqa: ANN401 - requests' signature
        """Through a proxy the same context is spoken to the backend."""
        if self._context is not None:
            given["ssl_context"] = self._context
        return super().proxy_manager_for(proxy, **given)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401 - requests' signature
        """The context verifies: certificate and name are required by it."""


def open_session(
    server_url: str, at_once: int, environment: Mapping[str, str], private_ca: str | None = None
) -> requests.Session:
    """A session that keeps `at_once` connections, stores no cookies, and follows no redirect.

    Args:
        server_url: the backend's. Plain http stays on this host: it knows no proxy.
        at_once: connections that are kept.
        environment: names a proxy (`HTTPS_PROXY`, `NO_PROXY`) and a CA bundle
            (`REQUESTS_CA_BUNDLE`), as requests reads them; a .netrc file is not read, so no other
            credentials than the client token are ever sent.
        private_ca: certificates of a private CA (PEM), trusted beside the public ones.

    Raises:
        OSError: the CA bundle is no file, or a certificate of a CA cannot be read.
    """
    session = _Session()
    context = None
    session.proxies = {}
    if server_url.startswith("https:"):
        session.proxies = dict(
            session.merge_environment_settings(server_url, {}, False, None, None)["proxies"]
        )
        bundle = next((environment[one] for one in BUNDLES if environment.get(one)), None)
        try:
            context = ssl.create_default_context(cafile=bundle or DEFAULT_CA_BUNDLE_PATH)
        except OSError as error:  # it does not say which file
            raise OSError(f"{bundle or DEFAULT_CA_BUNDLE_PATH}: {error}") from error
        if private_ca:
            try:
                context.load_verify_locations(cadata=private_ca)
            except ssl.SSLError as error:
                said = f"BACKEND_CA_PARAMETER's parameter holds no certificates (PEM): {error}"
                raise OSError(said) from error
    session.trust_env = False
    adapter = _Adapter(context, at_once)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session
