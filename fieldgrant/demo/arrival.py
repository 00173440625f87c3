"""Steps 1 and 2: the contacts come in sealed; customers enrol, are asked, and answer."""

import sqlite3
from datetime import timedelta

import httpx

from crm_core.importer import rows_of
from fieldgrant.demo import cast, residue
from fieldgrant.demo.cast import CODE, LINK, MAIL, NAMES, PHONE, Person
from fieldgrant.demo.journey import Play, StepFailed, expect, problem
from issuer import catalogue
from protocol.times import iso
from wallet.wallet import Wallet

NAMES_GROUND = {
    "key": "contract",
    "evidence": "Customer contract, general terms 2026, clause 4: we address our customers by name.",
    "processes": [{"purpose": "administration", "fields": list(NAMES)}],
}
INVITATION_GROUND = {
    "key": "invitation",
    "evidence": "Customer contract, clause 4: one invitation to the wallet by the channels on file.",
    "processes": [{"purpose": "invitation", "fields": [MAIL, PHONE]}],
    "until_enrolled": True,
    "roles": ["mailer"],
}


def import_contacts(play: Play) -> str:
    """Step 1."""
    shelf = catalogue.load()
    people = cast.choose(rows_of(play.contacts.read_bytes(), shelf))
    if people is None:
        raise StepFailed(f"{play.contacts.name}: no four rows with a name of their own, e-mail, phone and city or job title")
    play.cast = people
    with play.progress("sealing contacts", None):
        answer = play.staff("ada").post(
            f"{play.stage.url('crm')}/crm/imports",
            content=play.contacts.read_bytes(),
            headers={"Content-Type": "text/csv"},
            params={"source": play.contacts.name},
        )
    expect(answer.status_code in (200, 201), f"the import was refused: {problem(answer)}")
    report = answer.json()
    play.figures["import"] = {key: report[key] for key in ("read", "created", "updated", "unchanged", "rejected")}
    before = _seen(play, "sam")
    expect(not any(before.values()), f"before any ground staff saw {sorted(before)[0]}")
    until = iso(_now() + timedelta(days=365))
    for ground in (NAMES_GROUND, INVITATION_GROUND):
        declare(play, {**ground, "citation": "PIPL art. 13(2), GDPR art. 6(1)(b)", "valid_until": until})
    shown = _seen(play, "sam")
    expect(set(shown) == set(NAMES) and all(shown.values()), f"staff saw {sorted(shown)}, not the names alone")
    hits = residue.search(play.stage.settings.data_dir, people.planted)
    expect(not hits, f"{len(hits)} values lie in clear, the first in {hits[0].path.name if hits else ''}")
    play.figures["planted"] = len(people.planted)
    return (
        f"{report['read']} rows read: {report['created']} customers, {report['updated']} merged, "
        f"{report['rejected']} rejected; {len(people.planted)} values looked for on disk, 0 found; "
        "staff see names only, since two officers signed the contract ground"
    )


def _now():  # type: ignore[no-untyped-def]
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _seen(play: Play, account: str) -> dict[str, int]:
    """Field → in how many of the first 100 customers a member of staff sees a value for administration."""
    answer = play.get(account, "crm", "/crm/customers", purpose="administration", limit=100)
    expect(answer.status_code == 200, f"{account} could not list: {problem(answer)}")
    seen: dict[str, int] = {}
    for item in answer.json()["items"]:
        for name, value in item["fields"].items():
            seen[name] = seen.get(name, 0) + (value is not None)
    return seen


def declare(play: Play, ground: dict[str, object]) -> None:
    """One officer declares a statutory ground, the other approves it; the first may not approve their own."""
    made = play.post("dora", "issuer", "/issuer/grounds", ground)
    expect(made.status_code == 201, f"the ground was refused: {problem(made)}")
    path = f"/issuer/grounds/{made.json()['id']}/approval"
    own = play.post("dora", "issuer", path, {})
    expect(own.status_code in (403, 409), f"the declaring officer approved their own ground: {own.status_code}")
    second = play.post("dan", "issuer", path, {})
    expect(second.status_code in (200, 201), f"the second officer could not approve: {problem(second)}")
