"""What a first look needs, told when the server listens: who signs in where, and an invitation for a new wallet."""

import json
import logging
from collections.abc import Callable, Mapping
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from fieldgrant import pages
from fieldgrant.demo.cast import LINK
from runtime.settings import Settings

STAFF: Final = (("sales", "sam", "crm"), ("DPO", "dora", "crm"), ("auditor", "aron", "audit"))  # and the page of each
_INVITER: Final = "sina"
_TRIES: Final = 50  # customers: some have a wallet already
_LOG: Final = logging.getLogger(__name__)


def accounts(settings: Settings) -> Mapping[str, Mapping[str, str]]:
    """The demo's accounts, made for trying out; empty where this is no demo."""
    path = settings.data_dir.parent / "accounts.json"
    found: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def staff_links(settings: Settings) -> list[tuple[str, str, str, str]]:
    """(who, address, account, password) of three members of staff; those whose page was not built are sent to `/`."""
    known = accounts(settings)
    base = settings.urls["crm"]
    return [
        (who, f"{base}{pages.place(page)}", account, known[account]["password"])
        for who, account, page in STAFF
        if account in known
    ]


def invite(settings: Settings, tell: Callable[[str], None]) -> None:
    """Have a customer without a wallet invited, and tell the link in their letter. Says nothing where that fails.

    It goes the way of every invitation: a member of staff asks for it, the link lies in the letter alone.
    """
    try:
        if link := _invited(settings):
            tell(link)
    except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
        _LOG.warning("no invitation: %s", type(error).__name__)


def _invited(settings: Settings) -> str | None:
    known, base = accounts(settings), settings.urls["issuer"]
    if _INVITER not in known:
        return None
    with httpx.Client(base_url=base, timeout=30, trust_env=False) as client:
        body = {"account": _INVITER, "password": known[_INVITER]["password"]}
        token = client.post("/staff/sessions", json=body).raise_for_status().json()["token"]
        client.headers["authorization"] = f"Bearer {token}"
        try:
            letters = set(settings.mail_dir.glob("*.eml"))
            for subject in _customers(client):
                if client.post("/issuer/invitations", json={"subject": subject}).status_code == 201:
                    return _link(settings, set(settings.mail_dir.glob("*.eml")) - letters)
        finally:
            client.delete("/staff/sessions/current")
    return None


def _customers(client: httpx.Client) -> list[str]:
    query: dict[str, Any] = {"purpose": "administration", "limit": _TRIES}
    found = client.get("/crm/customers", params=query).raise_for_status().json()
    return [item["subject"] for item in found["items"]]


def _link(settings: Settings, letters: set[Path]) -> str | None:
    for path in sorted(letters, reverse=True):
        body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
        found = LINK.search(str(body.get_content()) if body else "")
        # the folder of letters is shared by the demos of several ports
        if found and parse_qs(urlsplit(found[0]).query).get("issuer") == [settings.urls["issuer"]]:
            return found[0]
    return None
