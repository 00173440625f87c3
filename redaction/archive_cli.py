"""The terminal: `fieldgrant redaction archive list | open | destroy-period | hand-over | bring-back`."""
# ruff: noqa: PLR0917 - typer turns each parameter into an option

import base64
import json
import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import httpx
import nacl.utils
import typer
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox
from rich.console import Console
from rich.table import Table

from protocol import event
from redaction import archive_app, officers
from runtime import outbox, terminal
from runtime.keyring import KeyGone
from runtime.platform import Platform
from runtime.terminal import Data, Keys

app = typer.Typer(help="The archive: what lies there, and what two officers may do with it.", no_args_is_help=True)
Server = Annotated[str, typer.Option("--server", metavar="URL", help="The platform's address.")]
Account = Annotated[str, typer.Option("--account", help="Who you are; the password is asked for.")]
Reason = Annotated[
    str,
    typer.Option(help="legal_claim, authority_order, data_subject_request, integrity_check or end_of_purpose."),
]
LegalGround = Annotated[str, typer.Option("--legal-ground", help="The law that permits it.")]
Evidence = Annotated[str, typer.Option(help="The paper that shows it; name no person.")]
Approve = Annotated[str | None, typer.Option(metavar="ID", help="Approve this request, as the second person.")]
Request = Annotated[str | None, typer.Option("--request", metavar="ID", help="Act on this approved request of yours.")]
LOCAL = "http://localhost:8700"
_OPS, _MEMORY = argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ArchiveError(Exception):
    """What a person can mend. `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@app.callback()
def archive() -> None:
    """The archive: what lies there, and what two officers may do with it."""


@app.command("list")
def list_(
    data: Data = None, keys: Keys = None, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """The archive's keys: the day of their end, where their private halves lie, how many boxes are under each.

    Example: fieldgrant redaction archive list --data out/serve/8700/data --keys out/serve/8700/keys
    """
    with terminal.opened(data, keys) as platform:
        found = archive_app.keys(platform)
    if as_json:
        typer.echo(json.dumps({"keys": found}))
        return
    table = Table("key", "ends", "private half", "boxes")
    for one in found:
        table.add_row(one["key"], one["ends_at"] or "-", one["private"], str(one["boxes"]))
    Console().print(table if found else "Nothing is in the archive.")


@app.command("open")
def open_(
    account: Account,
    subject: Annotated[str | None, typer.Option(help="The customer's reference.")] = None,
    field: Annotated[str | None, typer.Option(help="The archived field.")] = None,
    reason: Reason = "legal_claim",
    legal_ground: LegalGround = "",
    evidence: Evidence = "",
    approve: Approve = None,
    request: Request = None,
    server: Server = LOCAL,
) -> None:
    """Open one archived field: one officer asks, another person approves, who asked opens it, once.

    The customer sees it: reason, legal ground, and who approved.

    Example:

      fieldgrant redaction archive open --account dora --subject sub_… --field contact.email --reason legal_claim
      --legal-ground 'GDPR art. 17(3)(e)' --evidence 'Court file 7 O 12/26'

      fieldgrant redaction archive open --account otto --approve urn:uuid:…

      fieldgrant redaction archive open --account dora --request urn:uuid:…
    """
    body = {"kind": "open", "subject": subject, "field": field}
    paper = {"reason": reason, "legal_ground": legal_ground, "evidence": evidence}
    _two(server, account, approve, request, body=body | paper, act="opening")


@app.command("destroy-period")
def destroy_period(
    account: Account,
    period: Annotated[str | None, typer.Argument(help="A period, or one key of it, as `list` shows them.")] = None,
    reason: Reason = "end_of_purpose",
    legal_ground: LegalGround = "",
    evidence: Evidence = "",
    approve: Approve = None,
    request: Request = None,
    server: Server = LOCAL,
) -> None:
    """End the keys of a period before their day, and every copy of what is under them. It cannot be undone.

    Example:

      fieldgrant redaction archive destroy-period P3Y-claims --account dora --legal-ground 'PIPL art. 47'
      --evidence 'Decision 2026-14'

      fieldgrant redaction archive destroy-period --account otto --approve urn:uuid:…

      fieldgrant redaction archive destroy-period --account dora --request urn:uuid:…
    """
    paper = {"reason": reason, "legal_ground": legal_ground, "evidence": evidence}
    _two(server, account, approve, request, body={"kind": "destroy", "period": period} | paper, act="destruction")


@app.command("hand-over")
def hand_over(
    period: Annotated[str, typer.Argument(help="The period whose private halves you take.")],
    to: Annotated[Path, typer.Option(help="The file to write; it must not exist.")],
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Take the private halves of a period out of the key-ring, into a file sealed under a passphrase.

    From then on restores of that period wait for you. The file alone opens nothing: a half of it stays in the key-ring,
    and when a key's day comes that half is destroyed, which ends every copy of your file as well.

    Example: fieldgrant redaction archive hand-over P3Y-claims --to /media/usb/p3y-claims.fgkeys
    """
    with terminal.opened(data, keys, ArchiveError, KeyGone) as platform:
        ring = platform.keyring.archive
        names = [name for name in officers.keys_of(platform, period) if ring.at_hand(name)]
        if not names:
            raise ArchiveError("key_gone", "no private half of that period is here")
        secret = typer.prompt("Passphrase of the file", hide_input=True, confirmation_prompt=True, err=True)
        if len(secret) < 12:
            raise ArchiveError("weak_passphrase", "at least 12 characters: nobody can recover it")
        given = {name: base64.b64encode(ring.take_out(name)).decode() for name in names}
        _write(to, secret, {"org": platform.controller, "keys": given})
        for name in names:
            ring.removed(name)
        _moved(platform, period, "officer", names)
    typer.echo(f"{len(names)} private halves of {period} now lie in {to} alone. Keep it and its passphrase apart.")


@app.command("bring-back")
def bring_back(
    file: Annotated[Path, typer.Argument(help="What `hand-over` wrote.")], data: Data = None, keys: Keys = None
) -> None:
    """Put private halves back into the key-ring, so that what waits for them comes back; then hand them over again.

    Example: fieldgrant redaction archive bring-back /media/usb/p3y-claims.fgkeys
    """
    with terminal.opened(data, keys, ArchiveError) as platform:
        content = _read(file, typer.prompt("Passphrase of the file", hide_input=True, err=True))
        if content.get("org") != platform.controller:
            raise ArchiveError("wrong_org", "these keys belong to another organisation")
        back, ended = [], 0
        for name, given in content["keys"].items():
            try:
                platform.keyring.archive.put_back(name, base64.b64decode(given))
                back.append(name)
            except KeyGone:
                ended += 1
            except ValueError as error:
                raise ArchiveError("bad_key_file", str(error)) from None
        if back:
            _moved(platform, ", ".join(sorted({name.partition("~")[0] for name in back})), "key-ring", back)
    typer.echo(f"{len(back)} private halves are back; {ended} have ended since.")


def _moved(platform: Platform, period: str, to: str, names: list[str]) -> None:
    with platform.database.write("keeper") as session:
        told = {"period": period, "to": to, "keys": names}
        outbox.emit(session, event.ARCHIVE_MOVED, at=platform.clock.now(), records=[(None, told)])


def _write(path: Path, secret: str, content: dict[str, Any]) -> None:
    salt = nacl.utils.random(argon2id.SALTBYTES)
    key = argon2id.kdf(SecretBox.KEY_SIZE, secret.encode(), salt, opslimit=_OPS, memlimit=_MEMORY)
    box = bytes(SecretBox(key).encrypt(json.dumps(content).encode()))
    text = json.dumps({"v": 1, "salt": base64.b64encode(salt).decode(), "box": base64.b64encode(box).decode()})
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, secret: str) -> dict[str, Any]:
    try:
        sealed = json.loads(path.read_bytes())
        salt, box = (base64.b64decode(sealed[name], validate=True) for name in ("salt", "box"))
        key = argon2id.kdf(SecretBox.KEY_SIZE, secret.encode(), salt, opslimit=_OPS, memlimit=_MEMORY)
        content: dict[str, Any] = json.loads(SecretBox(key).decrypt(box))
    except CryptoError:
        raise ArchiveError("wrong_passphrase", "the passphrase does not open this file") from None
    except (ValueError, KeyError, TypeError):
        raise ArchiveError("bad_key_file", "this is not what hand-over wrote") from None
    return content


def _two(
    server: str, account: str, approve: str | None, request: str | None, *, body: dict[str, Any], act: str
) -> None:
    """One step of what two officers do, at the server, signed in for this step alone."""
    with terminal.one_line(ArchiveError):
        parts = urlsplit(server)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ArchiveError("insecure_url", "only https, or http on this very machine")
        with httpx.Client(base_url=server, follow_redirects=False, trust_env=False, timeout=30) as client:
            password = typer.prompt(f"Password of {account}", hide_input=True, err=True)
            token = _send(client, "/staff/sessions", {"account": account, "password": password})["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            try:
                typer.echo(json.dumps(_step(client, approve, request, body, act), ensure_ascii=False))
            finally:
                client.delete("/staff/sessions/current")


def _step(
    client: httpx.Client, approve: str | None, request: str | None, body: dict[str, Any], act: str
) -> dict[str, Any]:
    base = "/redaction/archive/requests"
    if approve is not None:
        return _send(client, f"{base}/{quote(approve, safe='')}/approval", {})
    if request is not None:
        return _send(client, f"{base}/{quote(request, safe='')}/{act}", {})
    return _send(client, base, {name: value for name, value in body.items() if value is not None})


def _send(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = client.post(path, json=body)
        content: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError):
        raise ArchiveError("unreachable", "the platform does not answer; is it being served?") from None
    if not answer.is_success:
        raise ArchiveError(str(content.get("code", "refused")), str(content.get("detail", answer.status_code)))
    return content
