"""How a browser holds a sign-in: a cookie that no script reads, and a CSRF token that no other page can know.

A session is either a bearer token's or a cookie's, for good: their digests are made for different kinds, so a cookie's
value sent as a bearer token is nobody's, and the other way round. A request with an `Authorization` header is judged by
that alone; a bad bearer token is not saved by a good cookie.

Ports do not keep cookies apart, and `localhost:8701` is the same *site* as `localhost:8700`. So SameSite alone is not
enough: a cookie counts only where the browser says that the request comes from our own origin, and for whatever changes
something only with the CSRF token.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from fastapi import Request, Response

from runtime.keyring import KeyRing
from runtime.settings import Settings

COOKIE: Final = "__Host-fieldgrant"
HEADER: Final = "X-CSRF-Token"
_SAFE: Final = frozenset({"GET", "HEAD"})
_MASK: Final = 16  # bytes: each CSRF token looks different, so that no compressed answer gives one away

Kind = Literal["token", "cookie"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a request carries to say who calls: a bearer token, or the cookie."""

    kind: Kind
    text: str

    def digest(self, keyring: KeyRing) -> bytes:
        """Under what it is stored (32 bytes). Another one for the same text of the other kind."""
        return mac(keyring, self.kind, self.text)


def ticket(request: Request) -> Ticket | None:
    """What the request carries; None where it carries nothing, or an `Authorization` of another scheme."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        return Ticket("token", text.strip()) if scheme.lower() == "bearer" and text.strip() else None
    text = request.cookies.get(COOKIE, "")
    return Ticket("cookie", text) if text else None


def csrf(keyring: KeyRing, held: Ticket) -> str:
    """A CSRF token for a living cookie, another one at each call; all of them end with the session."""
    mask = secrets.token_hex(_MASK)
    return f"{mask}.{_csrf_mac(keyring, held, mask)}"


def csrf_fits(keyring: KeyRing, held: Ticket, said: str) -> bool:
    """Whether `said` is a CSRF token of this very session."""
    mask, _, ours = said.partition(".")
    return len(mask) == 2 * _MASK and hmac.compare_digest(ours.encode(), _csrf_mac(keyring, held, mask).encode())


def guarded(request: Request) -> bool:
    """Whether this request needs the CSRF token, if it comes with a cookie."""
    return request.method not in _SAFE


def foreign(request: Request, settings: Settings) -> bool:
    """Whether the browser says that a page of another origin sent this (another port of the same machine is one)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return False
    ours = {_origin(url) for url in settings.urls.values()}
    return origin not in ours and urlsplit(origin).netloc != request.headers.get("host", "")


def keep(response: Response, text: str) -> None:
    """Hand the cookie out. `__Host-` binds it to this host; it ends with the browser or with the session."""
    response.set_cookie(COOKIE, text, path="/", secure=True, httponly=True, samesite="strict")


def drop(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def mac(keyring: KeyRing, kind: str, *facts: str | bytes | None) -> bytes:
    """32 bytes over what is written down about staff, under a key that the database does not hold."""
    plain = [fact.hex() if isinstance(fact, bytes) else fact for fact in facts]
    text = json.dumps([kind, *plain]).encode()
    return hashlib.blake2b(text, key=keyring.secret("staff"), digest_size=32).digest()


def _csrf_mac(keyring: KeyRing, held: Ticket, mask: str) -> str:
    return mac(keyring, "csrf", held.digest(keyring), mask).hex()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
