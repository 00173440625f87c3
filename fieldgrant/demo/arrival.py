"""Steps 1 and 2: the contacts come in sealed; customers enrol, are asked, and answer."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from crm_core.imports.importer import rows_of
from fieldgrant.demo import cast, residue
from fieldgrant.demo.cast import CODE, LINK, MAIL, NAMES, PHONE, Cast, Person, letter
from fieldgrant.demo.journey import Play, StepFailed, expect, problem
from issuer import catalogue
from protocol.times import iso
from wallet.errors import WalletError

PAGE = 100
NOBODY_FITS = "needs four rows with a name of their own, an e-mail address, a phone number and a city or title"
CITATION = "PIPL art. 13(2); GDPR art. 6(1)(b)"
NAMES_GROUND = {
    "key": "contract",
    "evidence": "General terms 2026, clause 4: we address our customers by name.",
    "processes": [{"purpose": "administration", "fields": list(NAMES)}],
}
INVITATION_GROUND = {
    "key": "invitation",
    "evidence": "General terms 2026, clause 4: one invitation to the wallet, by the channels on file.",
    "processes": [{"purpose": "invitation", "fields": [MAIL, PHONE]}],
    "until_enrolled": True,
    "roles": ["mailer"],
}


def import_contacts(play: Play) -> str:
    """Step 1."""
    play.cast = chosen = cast_of(play.contacts)
    report = _import(play)
    play.figures["import"] = {key: report[key] for key in ("read", "created", "updated", "unchanged", "rejected")}
    before = _seen(play, "sam")
    expect(not any(before.values()), "staff saw a value before there was any ground")
    for ground in (NAMES_GROUND, INVITATION_GROUND):
        declare(play, ground)
    shown = {name for name, count in _seen(play, "sam").items() if count}
    expect(shown == set(NAMES), f"staff saw {', '.join(sorted(shown)) or 'nothing'}, not the names alone")
    hits = residue.search(play.stage.settings.data_dir, chosen.planted)
    expect(not hits, f"{len(hits)} values lie in clear, the first in {hits[0].path.name if hits else ''}")
    play.figures["planted"] = len(chosen.planted)
    return (
        f"{report['read']} rows: {report['created']} customers sealed, {report['updated']} merged, "
        f"{report['unchanged']} unchanged, {report['rejected']} rejected; staff see names only, under the contract "
        f"ground that two officers signed; {len(chosen.planted)} values looked for on disk, none in clear"
    )


def cast_of(contacts: Path) -> Cast:
    """The people of a contacts file. Raises StepFailed when nobody fits, EvidenceError when it is no such file."""
    chosen = cast.choose(rows_of(contacts.read_bytes(), catalogue.load()))
    if chosen is None:
        raise StepFailed(f"{contacts.name}: {NOBODY_FITS}")
    return chosen


def _import(play: Play) -> dict[str, Any]:
    with play.progress("sealing the contacts"):
        answer = play.staff("ada").post(
            f"{play.stage.url('crm')}/crm/imports",
            content=play.contacts.read_bytes(),
            headers={"Content-Type": "text/csv"},
            timeout=600,
        )
    expect(answer.status_code in (200, 201), f"the import was refused: {problem(answer)}")
    return dict(answer.json())


def _seen(play: Play, account: str) -> dict[str, int]:
    """Field → for how many of the first customers a member of staff sees a value in the record."""
    answer = play.get(account, "crm", "/crm/customers", purpose="administration", limit=PAGE)
    expect(answer.status_code == 200, f"{account} could not list: {problem(answer)}")
    seen: dict[str, int] = {}
    for item in answer.json()["items"]:
        for name, value in item["fields"].items():
            seen[name] = seen.get(name, 0) + (value is not None)
    return seen


def declare(play: Play, ground: dict[str, Any]) -> None:
    """One officer declares a statutory ground, another approves it; the first may not approve their own."""
    until = iso(datetime.now(UTC) + timedelta(days=365))
    body = {**ground, "basis": "dpv:Contract", "citation": CITATION, "valid_until": until}
    made = play.post("dora", "issuer", "/issuer/grounds", body)
    expect(made.status_code == 201, f"the ground was refused: {problem(made)}")
    path = f"/issuer/grounds/{made.json()['id']}/approval"
    own = play.post("dora", "issuer", path, {})
    expect(own.status_code in (403, 409), f"an officer approved her own ground: {own.status_code}")
    with play.progress("compiling allowances"):
        second = play.post("dan", "issuer", path, {})
    expect(second.is_success, f"the second officer could not approve: {problem(second)}")


def enrol_and_answer(play: Play) -> str:
    """Step 2."""
    first, second, third, fourth = play.cast.people
    with play.progress("three customers enrol", 3) as told:
        for number, person in enumerate((first, second, third), start=1):
            enrol(play, person)
            told(number)
    code = impersonate(play, fourth)
    both = [MAIL, play.cast.second]
    ask_and_answer(play, first, both)
    ask_and_answer(play, second, None)
    ask_and_refuse(play, third)
    return (
        f"three wallets enrolled; the member of staff who tried as a fourth customer was refused ({code}); "
        f"marketing asked: one grants {' and '.join(both)}, one grants all, one refuses"
    )


def find(play: Play, person: Person) -> str:
    """The opaque reference of a customer, found as staff find people: by name, under the contract ground."""
    given, family = (person.values[name] for name in NAMES)
    query: dict[str, Any] = {"purpose": "administration", "filter": f"{NAMES[1]}:eq:{family}", "limit": 500}
    answer = play.get("sina", "crm", "/crm/customers", **query)
    expect(answer.status_code == 200, f"service could not look a name up: {problem(answer)}")
    fitting = [item["subject"] for item in answer.json()["items"] if item["fields"].get(NAMES[0]) == given]
    expect(len(fitting) == 1, f"{len(fitting)} customers bear a name that is there once")
    return str(fitting[0])


def invite(play: Play, person: Person, by: str) -> httpx.Response:
    """A member of staff has an invitation sent; they see neither link nor code."""
    answer = play.post(by, "issuer", "/issuer/invitations", {"subject": person.subject})
    expect(answer.status_code == 201, f"the invitation was refused: {problem(answer)}")
    told = answer.text
    expect("token=" not in told and person.values[MAIL] not in told, "the invitation was shown to staff")
    return answer


def enrol(play: Play, person: Person) -> None:
    """A customer opens the link from their mail and types the code from their phone."""
    person.subject = find(play, person)
    invite(play, person, "sina")
    link = _letter(play, person.values[MAIL], LINK)
    expect(link, "no invitation came by mail")
    play.wallet(person).enrol(link, lambda _: _letter(play, person.values[PHONE], CODE))
    expect(play.wallet(person).holding().enrolment, "the wallet holds no enrolment")


def _letter(play: Play, address: str, pattern: re.Pattern[str]) -> str:
    return letter(play.stage.mail, address, pattern, wait=play.pace.patience)


def impersonate(play: Play, person: Person) -> str:
    """A member of staff who wants to be a customer: guesses a link, then has a stolen link but not the code."""
    person.subject = find(play, person)
    shown = invite(play, person, "sam").json()
    url = f"{play.stage.url('issuer')}/issuer/enrolments"
    guess = httpx.post(f"{url}/challenge", json={"token": str(shown["id"])}, timeout=30)
    expect(guess.status_code in (400, 401, 403, 404), f"the invitation's id opened it: {guess.status_code}")
    stolen = _letter(play, person.values[MAIL], LINK)
    expect(stolen, "no invitation came by mail")
    thief = play.wallet_of("thief")
    try:
        thief.enrol(stolen, lambda _: "00000000")
    except WalletError as refusal:
        wrong = refusal.code
    else:
        raise StepFailed("a member of staff enrolled as a customer with a code that he made up")
    token = parse_qs(urlsplit(stolen).query)["token"][0]
    with_desk = play.staff("sam").post(f"{url}/challenge", json={"token": token})
    expect(with_desk.status_code == 403, f"a staff token could enrol: {problem(with_desk)}")
    return f"{wrong}, {with_desk.json()['code']}"


def ask(play: Play, person: Person) -> str:
    """Marketing asks for everything that the purpose may use; the id of the ask as the wallet sees it."""
    fields = sorted(catalogue.load().purpose("marketing").necessity)
    body = {"subject": person.subject, "processes": [{"purpose": "marketing", "fields": fields}]}
    made = play.post("mei", "issuer", "/issuer/asks", body)
    expect(made.is_success, f"the ask was refused: {problem(made)}")
    offers, rejected = play.wallet(person).asks()
    expect(not rejected and len(offers) == 1, f"the wallet finds {len(offers)} asks good and {len(rejected)} bad")
    expect(offers[0].notice, "the ask came without its notice")
    return offers[0].ask.id


def ask_and_answer(play: Play, person: Person, fields: Collection[str] | None) -> None:
    """Marketing asks; the customer grants these fields, or all where `fields` is None."""
    number = ask(play, person)
    if fields is None:
        fields = sorted(name for process in play.wallet(person).ask(number).ask.processes for name in process.fields)
    receipt = play.wallet(person).consent(number, fields)
    expect(receipt.standing == "living", f"the receipt says {receipt.standing}")


def ask_and_refuse(play: Play, person: Person) -> None:
    """Marketing asks; the customer says no, on record."""
    receipt = play.wallet(person).refuse(ask(play, person))
    expect(re.search("refused", receipt.event), f"the receipt says {receipt.event}")
