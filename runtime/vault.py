"""A root in Vault or OpenBao: the transit engine wraps, its key never leaves it."""

import random
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions
from hvac.adapters import RawAdapter

from runtime.root import RootError

ATTEMPTS = 4
CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 5.0  # seconds
# 412: a replica behind the primary; 472, 473: standby nodes; the rest: overload, sealed, gateways.
_TRY_AGAIN = frozenset({412, 429, 472, 473, 500, 502, 503, 504})
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class VaultRoot:
    """Transit encryption under one named key (`aes256-gcm96`), the context as associated data.

    Redirects are never followed: they would carry the token, and the body with its key, to another origin.
    """

    def __init__(
        self, address: str, token: str, key: str, *, mount: str = "transit", pause: Callable[[float], None] = time.sleep
    ) -> None:
        """ValueError for an address that is not https (http on this machine is allowed)."""
        url = urlsplit(address)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOCAL):
            raise ValueError("the address of Vault must be https")
        self._key, self._mount, self._pause = key, mount, pause
        session = requests.Session()
        session.trust_env = False  # a proxy or netrc from the environment has no business here
        self._client = hvac.Client(
            url=address,
            token=token,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=False,
            session=session,
            adapter=RawAdapter,
        )

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Vault's own text form (`vault:v1:…`) as bytes. Raises RootError(root_unavailable, root_refused)."""
        item = {"plaintext": _text(plaintext), "associated_data": _text(context)}
        return str(self._batch("encrypt", [item])[0]["ciphertext"]).encode()

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises RootError(root_unavailable, root_refused, bad_wrapping)."""
        return self.unwrap_all([(wrapped, context)])[0]

    def unwrap_all(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """One call for all. Raises RootError if any one item fails."""
        try:
            batch = [
                {"ciphertext": wrapped.decode("ascii"), "associated_data": _text(about)} for wrapped, about in items
            ]
            return [b64decode(item["plaintext"], validate=True) for item in self._batch("decrypt", batch)]
        except (UnicodeDecodeError, ValueError, TypeError) as error:
            raise RootError("bad_wrapping", "not wrapped by Vault") from error

    def _batch(self, verb: str, items: list[dict[str, str]]) -> list[Mapping[str, Any]]:
        path = f"/v1/{self._mount}/{verb}/{self._key}"
        answer = self._post(path, {"batch_input": items})
        results = (answer.get("data") or {}).get("batch_results") or []
        if len(results) != len(items):
            raise RootError("root_refused", "Vault answered another number of items than it was asked for")
        wanted = "ciphertext" if verb == "encrypt" else "plaintext"
        for result in results:  # an item can fail inside a 200
            if result.get("error") or not result.get(wanted):
                code = "root_refused" if verb == "encrypt" else "bad_wrapping"
                raise RootError(code, f"Vault could not {verb} one of {len(items)} items")
        return list(results)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        for attempt in range(ATTEMPTS):
            if attempt:
                # Jitter, so that processes that lost Vault together do not come back together.
                self._pause(0.1 * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                response = self._client.adapter.request("post", path, raise_exception=False, json=body)
            except (requests.ConnectionError, requests.Timeout):
                continue
            except (requests.RequestException, exceptions.VaultError) as error:
                raise RootError("root_unavailable", "Vault could not be asked") from error
            answer = _answer(response)
            if answer is not None:
                return answer
        raise RootError("root_unavailable", f"Vault did not answer in {ATTEMPTS} attempts")


def _answer(response: requests.Response) -> dict[str, Any] | None:
    """The JSON of a 200; None to try again. Raises RootError without a word of the body."""
    status = response.status_code
    if status in _TRY_AGAIN:
        return None
    if 300 <= status < 400:
        raise RootError("root_refused", f"Vault answered with a redirect ({status}), which is never followed")
    if status != 200:
        raise RootError("root_refused", f"Vault refused with status {status}")
    try:
        parsed = response.json()
    except requests.JSONDecodeError as error:
        raise RootError("root_refused", "Vault answered something that is not JSON") from error
    if not isinstance(parsed, dict):
        raise RootError("root_refused", "Vault answered something that is not an object")
    return parsed


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")
