"""Calls to an organisation: signed per request (RFC 9421), bounded, without redirects or cookies."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from protocol import canonical, signature
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from wallet.errors import WalletError

MAX_ANSWER = 8 * 1024 * 1024
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""A withdrawal is acknowledged only when the last read in flight has ended, so answers may take a while."""
SKEW = timedelta(seconds=60)
"""How far a wallet's clock may be from an organisation's, either way, before they stop understanding each other."""
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Client:
    """HTTP to organisations; ``transport`` replaces the network in tests."""

    __slots__ = ("_clock", "_http")

    def __init__(self, clock: Callable[[], datetime], *, transport: httpx.BaseTransport | None = None) -> None:
        self._clock = clock
        # an environment's proxy would learn which organisations the owner deals with
        self._http = httpx.Client(transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self, url: str, *, params: Mapping[str, str] | None = None) -> bytes:
        """The bytes at a public address.

        Raises:
            WalletError: ``insecure_url``, ``unreachable``, ``answer_too_large``, or the code that it was refused with.
        """
        return self._exchange(self._http.build_request("GET", _safe(url), params=params))

    def get(self, url: str) -> dict[str, Any]:
        """The JSON at a public address; errors as of `fetch`, and ``bad_answer``."""
        return _json(self.fetch(url))

    def post(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send JSON without a signature (only before enrolment); errors as of `fetch`, and ``bad_answer``."""
        headers = {"Content-Type": "application/json"}
        request = self._http.build_request("POST", _safe(url), content=canonical.jcs(body), headers=headers)
        return _json(self._exchange(request))

    def call(
        self,
        method: str,
        url: str,
        signer: Ed25519Signer,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request signed by the pairwise key, each with a nonce of its own; errors as of `post`."""
        data = b"" if body is None else canonical.jcs(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        target = str(httpx.URL(_safe(url)).copy_merge_params(params or {}))
        nonce = secrets.token_urlsafe(18)
        signed = signature.sign_request(method, target, headers, data, signer, created=self._clock(), nonce=nonce)
        request = self._http.build_request(method, target, content=data, headers={**headers, **signed})
        return _json(self._exchange(request))

    def _exchange(self, request: httpx.Request) -> bytes:
        try:
            response = self._http.send(request, stream=True)
            try:
                received = _bounded(response)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL):
            raise WalletError("unreachable", "the organisation does not answer; try again later") from None
        if response.is_success:
            return received
        raise _problem(response.status_code, received)


def _safe(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise WalletError("insecure_url", "only https addresses are called; do not use this link")
    return url


def _bounded(response: httpx.Response) -> bytes:
    received = bytearray()
    for piece in response.iter_bytes():
        received += piece
        if len(received) > MAX_ANSWER:
            raise WalletError("answer_too_large", "the organisation's answer is too large to be honest")
    return bytes(received)


def _json(data: bytes) -> dict[str, Any]:
    try:
        return canonical.parse(data, limit=MAX_ANSWER)
    except EvidenceError as error:
        raise WalletError("bad_answer", f"the organisation's answer cannot be read ({error.code})") from None


def _problem(status: int, data: bytes) -> WalletError:
    """RFC 9457: code and detail of a refusal; a stranger's answer becomes ``refused``."""
    try:
        problem = canonical.parse(data)
    except EvidenceError:
        problem = {}
    code, detail, field = (problem.get(name) for name in ("code", "detail", "field"))
    return WalletError(
        code if isinstance(code, str) and code.isprintable() and len(code) <= 64 else "refused",
        detail[:500] if isinstance(detail, str) and detail.isprintable() else f"the organisation said no ({status})",
        field=field if isinstance(field, str) and field.isprintable() else None,
        status=status,
    )
