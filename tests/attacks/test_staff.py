"""A member of staff wants more than their role may have. Every route is tried with every role."""

import re
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from issuer import catalogue
from protocol.times import iso
from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL, GIVEN, LINK, PASSWORD, START, codes, token_of
from tests.attacks.place import Place

ALL = frozenset({"sales", "service", "marketing", "dpo", "auditor", "admin", "steward"})
INVITERS, OVERSEERS, AUDITORS = (
    {"sales", "service", "marketing", "admin"},
    {"dpo", "admin", "auditor"},
    {"auditor", "dpo"},
)
DESKS = {"sales", "service", "marketing", "dpo"}
SUBJECT, ID = "sub_aaaaaaaaaaaaaaaaaaaaaaaaaa", "urn:uuid:00000000-0000-4000-8000-000000000000"
PUBLIC, WALLET, ENROLLING = "public", "wallet", "enrolling"
# (method, path as OpenAPI has it) → who may: roles, or public, or wallets
ROUTES: dict[tuple[str, str], Any] = {
    ("GET", "/health"): PUBLIC,
    ("GET", "/.well-known/did.json"): PUBLIC,
    ("GET", "/issuer/catalogue"): PUBLIC,
    ("GET", "/issuer/notices/{purpose}/{version}"): PUBLIC,
    ("GET", "/issuer/status/{n}"): PUBLIC,
    ("GET", "/issuer/contexts/consent/v1"): PUBLIC,
    ("GET", "/audit/checkpoint"): PUBLIC,
    ("GET", "/audit/tile/{path}"): PUBLIC,
    ("GET", "/audit/log.vkey"): PUBLIC,
    ("POST", "/staff/sessions"): PUBLIC,
    ("POST", "/verifier/credentials/verify"): PUBLIC,
    ("GET", "/staff/me"): ALL,
    ("GET", "/staff/session"): ALL,
    ("DELETE", "/staff/sessions/current"): ALL,
    ("POST", "/issuer/invitations"): INVITERS,
    ("POST", "/issuer/invitations/in-person"): INVITERS,
    ("POST", "/issuer/invitations/{id}/confirmation"): INVITERS,
    ("POST", "/issuer/invitations/{id}/code"): INVITERS,
    ("GET", "/issuer/enrolments"): ALL,
    ("POST", "/issuer/subjects/{subject}/enrolment/end"): {"dpo"},
    ("POST", "/issuer/asks"): ALL,  # then by purpose
    ("GET", "/issuer/asks"): ALL,
    ("GET", "/issuer/asks/{id}"): ALL,
    ("GET", "/issuer/asks/{id}/link"): ALL,  # then by purpose
    ("POST", "/issuer/asks/{id}/end"): ALL,  # then by purpose
    ("GET", "/issuer/consents"): OVERSEERS,
    ("POST", "/issuer/consents/{id}/revocation"): {"dpo"},
    ("POST", "/issuer/grounds"): {"dpo"},
    ("GET", "/issuer/grounds"): OVERSEERS,
    ("POST", "/issuer/grounds/{id}/approval"): {"dpo", "admin"},
    ("POST", "/issuer/grounds/{id}/end"): {"dpo"},
    ("GET", "/issuer/catalogue/versions"): OVERSEERS,
    ("GET", "/issuer/catalogue/versions/{number}"): OVERSEERS,
    ("GET", "/issuer/catalogue/status"): OVERSEERS,
    ("POST", "/issuer/catalogue/drafts"): {"dpo"},
    ("POST", "/issuer/catalogue/rollbacks"): {"dpo"},
    ("GET", "/issuer/catalogue/drafts"): OVERSEERS,
    ("GET", "/issuer/catalogue/drafts/{id}"): OVERSEERS,
    ("GET", "/issuer/catalogue/drafts/{id}/diff"): OVERSEERS,
    ("GET", "/issuer/catalogue/drafts/{id}/impact"): OVERSEERS,
    ("POST", "/issuer/catalogue/drafts/{id}/approval"): {"dpo", "admin"},
    ("POST", "/issuer/catalogue/drafts/{id}/withdrawal"): {"dpo"},
    ("GET", "/issuer/transfers"): OVERSEERS,
    ("GET", "/issuer/requests"): {"dpo"},
    ("GET", "/issuer/requests/{id}"): {"dpo"},
    ("POST", "/issuer/requests"): {"dpo"},
    ("POST", "/issuer/requests/{id}/confirmation"): {"dpo", "admin", "service"},
    ("POST", "/issuer/requests/{id}/taking"): {"dpo"},
    ("POST", "/issuer/requests/{id}/extension"): {"dpo"},
    ("POST", "/issuer/requests/{id}/answer"): {"dpo"},
    ("POST", "/issuer/requests/{id}/refusal"): {"dpo"},
    ("POST", "/issuer/requests/{id}/lifting"): {"dpo"},
    ("POST", "/issuer/losses"): {"dpo", "admin", "service"},
    ("POST", "/issuer/losses/{id}/confirmation"): {"dpo", "admin", "service"},
    ("GET", "/issuer/wallet/requests"): WALLET,
    ("GET", "/issuer/wallet/requests/key"): WALLET,
    ("POST", "/issuer/wallet/requests"): WALLET,
    ("POST", "/issuer/enrolments/challenge"): ENROLLING,
    ("POST", "/issuer/enrolments"): ENROLLING,
    ("GET", "/issuer/wallet/asks"): WALLET,
    ("GET", "/issuer/wallet/asks/{id}"): WALLET,
    ("GET", "/issuer/wallet/enrolments"): WALLET,
    ("GET", "/issuer/wallet/consents"): WALLET,
    ("GET", "/issuer/wallet/receipts"): WALLET,
    ("GET", "/issuer/wallet/grounds"): WALLET,
    ("POST", "/issuer/wallet/consents"): WALLET,
    ("POST", "/issuer/wallet/refusals"): WALLET,
    ("POST", "/issuer/wallet/narrowings/offers"): WALLET,
    ("POST", "/issuer/wallet/narrowings"): WALLET,
    ("POST", "/issuer/wallet/withdrawals"): WALLET,
    ("POST", "/verifier/decisions"): ALL,  # then by purpose
    ("GET", "/crm/customers"): ALL,  # then by purpose
    ("GET", "/crm/customers/{subject}"): ALL,  # then by purpose
    ("POST", "/crm/customers"): ALL,  # then by purpose, as all that follow
    ("PATCH", "/crm/customers/{subject}"): ALL,
    ("GET", "/crm/customers/{subject}/items"): ALL,
    ("POST", "/crm/customers/{subject}/items"): ALL,
    ("PATCH", "/crm/customers/{subject}/items/{item}"): ALL,
    ("DELETE", "/crm/customers/{subject}/items/{item}"): ALL,
    ("GET", "/crm/customers/{subject}/fields/{field}/history"): {"dpo", "auditor"},  # others for a purpose
    ("GET", "/crm/organisations"): DESKS,
    ("POST", "/crm/organisations"): DESKS,
    ("GET", "/crm/organisations/{id}"): DESKS,
    ("PUT", "/crm/organisations/{id}"): DESKS,
    ("DELETE", "/crm/organisations/{id}"): DESKS,
    ("POST", "/crm/organisations/{id}/merge"): DESKS,
    ("GET", "/crm/organisations/{id}/customers"): DESKS,  # then by purpose
    ("POST", "/crm/customers/query"): ALL,  # then by purpose
    ("POST", "/crm/customers/aggregate"): ALL,  # then by purpose
    ("POST", "/crm/exports"): ALL,  # then by purpose
    ("GET", "/crm/exports"): {"dpo"},
    ("POST", "/crm/imports"): {"admin", "dpo"},
    ("POST", "/crm/imports/preview"): {"admin", "dpo"},
    ("POST", "/crm/imports/{run}/undo"): {"admin", "dpo"},
    ("GET", "/crm/imports"): {"admin", "dpo", "steward"},
    ("GET", "/crm/imports/{run}/merges"): {"steward"},
    ("GET", "/crm/fields"): ALL,
    ("GET", "/crm/live"): ALL,  # does not end by itself; tests/crm_core/test_live.py has it
    ("POST", "/crm/ingest"): WALLET,  # a touchpoint signs as a wallet does
    ("GET", "/crm/held"): {"dpo"},
    ("GET", "/crm/wallet/held"): WALLET,
    ("GET", "/crm/touchpoints"): OVERSEERS,
    ("POST", "/crm/touchpoints"): {"admin"},
    ("GET", "/crm/touchpoints/{id}"): OVERSEERS,
    ("POST", "/crm/touchpoints/{id}/approval"): {"dpo"},
    ("POST", "/crm/touchpoints/{id}/end"): {"admin", "dpo"},
    ("POST", "/crm/rights/answers"): WALLET,
    ("POST", "/crm/rights/requests/{id}/file"): {"dpo"},
    ("POST", "/crm/rights/requests/{id}/passphrase"): {"dpo", "admin", "service"},
    ("POST", "/crm/rights/requests/{id}/correction"): {"dpo", "service"},
    ("GET", "/redaction/certificates"): WALLET,
    ("GET", "/redaction/state"): WALLET,
    ("GET", "/redaction/jobs"): {"dpo"},
    ("GET", "/redaction/keys"): {"dpo"},
    ("GET", "/redaction/board"): {"dpo", "admin"},
    ("GET", "/redaction/archive"): {"dpo"},
    ("GET", "/redaction/restores"): {"dpo"},
    ("GET", "/redaction/archive/requests"): {"dpo", "admin"},
    ("POST", "/redaction/archive/requests"): {"dpo"},
    ("POST", "/redaction/archive/requests/{id}/approval"): {"dpo", "admin"},
    ("POST", "/redaction/archive/requests/{id}/opening"): {"dpo"},
    ("POST", "/redaction/archive/requests/{id}/destruction"): {"dpo"},
    ("GET", "/redaction/downstream"): {"dpo"},
    ("POST", "/redaction/downstream/{id}/confirmation"): {"dpo"},
    ("POST", "/redaction/downstream/acknowledgements"): PUBLIC,
    ("GET", "/redaction/copies"): {"dpo"},
    ("GET", "/audit/history"): WALLET,
    ("GET", "/audit/proofs"): WALLET,
    ("GET", "/audit/events"): AUDITORS,
    ("GET", "/audit/bundles"): AUDITORS,
    ("GET", "/audit/records/{leaf}/{place}"): AUDITORS,
    ("GET", "/audit/actors"): AUDITORS,
    ("POST", "/audit/exports"): AUDITORS,
    ("GET", "/audit/exports"): AUDITORS,
    ("GET", "/audit/exports/{id}"): AUDITORS,
    ("POST", "/audit/exports/{id}/cancellation"): AUDITORS,
    ("POST", "/audit/exports/{id}/resumption"): AUDITORS,
    ("GET", "/audit/exports/{id}/bundle"): AUDITORS,
    ("GET", "/audit/provenance"): AUDITORS,
    ("GET", "/audit/log"): AUDITORS,
    ("POST", "/audit/verifications"): AUDITORS,
}
ELSEWHERE = {
    "/staff/sessions/current": "it would sign everybody out; test_staff of the runtime has it",
    "/crm/live": "it does not end; tests/crm_core/test_live.py has it",
}
FILLED = {
    "purpose": "marketing", "version": "1", "n": "1", "path": "0/000", "subject": SUBJECT, "field": EMAIL, "leaf": "0",
    "place": "0",
}  # fmt: skip
STAFF_CODES = {"role", "not_signed_in", "staff_not_wallet"}


def _call(place: Place, method: str, path: str, account: str | None) -> Any:
    filled = re.sub(r"\{(\w+)\}", lambda name: FILLED.get(name[1], ID), path)
    headers = {} if account is None else place.desk(account)
    query = {"subject": SUBJECT} if method == "GET" else {}
    body = {} if method == "POST" else None
    return place.http.request(method, place.base + filled, params=query, headers=headers, json=body)


def test_the_table_has_every_route_that_is_served(place: Place) -> None:
    served = place.http.get(f"{place.base}/openapi.json").json()["paths"]
    found = {(method.upper(), path) for path, methods in served.items() for method in methods}
    assert found == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
def test_each_role_reaches_its_own_routes_and_no_others(place: Place, method: str, path: str) -> None:
    may = ROUTES[method, path]
    if path in ELSEWHERE:
        pytest.skip(ELSEWHERE[path])
    found = codes([_call(place, method, path, None)])[0]
    if may in (PUBLIC, ENROLLING):
        assert found not in STAFF_CODES
    else:
        assert found == ("no_signature" if may == WALLET else "not_signed_in")
    before, seen = place.state(), place.newest()
    refusals = []
    for role in sorted(ALL):
        found = codes([_call(place, method, path, role)])[0]
        if may in (WALLET, ENROLLING):
            assert found == "staff_not_wallet", role
        elif may != PUBLIC and role not in may:
            assert found == "role", role
        else:
            assert found not in STAFF_CODES, role
        refusals += [found] if found in STAFF_CODES else []
    assert place.state() == before
    recorded = [code for code in place.attempts(seen) if code in STAFF_CODES]
    assert recorded == refusals  # each of them on record


@pytest.mark.parametrize("purpose", sorted(catalogue.load().purposes))
def test_each_role_asks_reads_and_decides_for_its_purposes_alone(place: Place, mina: Held, purpose: str) -> None:
    entry = catalogue.load().purpose(purpose)
    fields = sorted(entry.necessity)[:1]
    for role in sorted(ALL):
        reads = {
            "list": partial(place.get, role, "/crm/customers", purpose=purpose, limit=1),
            "one": partial(place.get, role, f"/crm/customers/{mina.subject}", purpose=purpose),
            "query": partial(place.post, role, "/crm/customers/query", {"purpose": purpose, "limit": 1}),
            "aggregate": partial(place.post, role, "/crm/customers/aggregate", {"purpose": purpose}),
            "export": partial(place.post, role, "/crm/exports", {"purpose": purpose, "format": "jsonl"}),
            "decision": partial(
                place.post, role, "/verifier/decisions",
                {"subject": mina.subject, "purpose": purpose, "fields": fields},
            ),
            "ask": partial(
                place.post, role, "/issuer/asks",
                {"subject": mina.subject, "processes": [{"purpose": purpose, "fields": fields}]},
            ),
        }  # fmt: skip
        for name, act in reads.items():
            if role in entry.roles:
                assert act().is_success, (role, name)
            else:
                told = place.refused("role", act, status=403)
                assert not {"subject", "items"} & set(told)


def test_a_refusal_tells_the_customer_and_never_what_was_typed(place: Place, mina: Held) -> None:
    typed = "lin.wei@example.cn"
    for subject in (mina.subject, typed):
        place.refused("role", partial(place.get, "sales", f"/crm/customers/{subject}", purpose="marketing"))
    first, second = (one.records[0][0] for one in place.events("refusal")[-2:])
    assert (first, second) == (mina.subject, None)
    place.get("marketing", f"/crm/customers/{typed}", purpose="marketing")
    place.get("marketing", "/crm/customers", purpose=typed)
    place.get("marketing", "/crm/customers", purpose="marketing", select=typed, filter=f"{typed}:eq:{typed}")
    place.post("marketing", "/issuer/invitations", {"subject": typed})
    place.post("marketing", "/issuer/asks", {"subject": typed, "processes": [{"purpose": typed, "fields": [typed]}]})
    place.post("dpo", f"/issuer/subjects/{typed}/enrolment/end")
    place.http.post(f"{place.base}/staff/sessions", json={"account": typed, "password": typed})
    place.platform.database.dispose()  # whatever lies in the WAL
    kept = [
        path for path in place.settings.data_dir.rglob("*") if path.is_file() and typed.encode() in path.read_bytes()
    ]
    assert kept == []


def test_staff_learn_neither_link_nor_code_nor_address(place: Place) -> None:
    customer = place.customer()
    token, challenge, code = place.opened(customer, place.invited(customer))
    invited = place.post("admin", "/issuer/invitations", {"subject": customer.subject})
    token = token_of(place.letters(customer.email, LINK)[-1])
    secrets = (token, challenge, code, customer.email, customer.phone)
    for role in sorted(ALL):
        told = [
            _call(place, method, path, role).text
            for (method, path) in ROUTES
            if method == "GET" and path not in ELSEWHERE
        ]
        told += [
            place.get(role, path, subject=customer.subject).text for path in ("/issuer/enrolments", "/audit/events")
        ]
        assert not [one for one in told for secret in secrets if secret in one]
    assert not [secret for secret in secrets if secret in invited.text]
    dump = str(place.state())
    assert not [secret for secret in (token, code, customer.email) if secret in dump]


def test_nobody_approves_their_own_ground_and_no_ground_opens_what_only_consent_may(place: Place) -> None:
    body = {
        "key": "more", "citation": "none", "evidence": "none", "valid_until": iso(START + timedelta(days=30)),
        "processes": [{"purpose": "service", "fields": [CITY]}],
    }  # fmt: skip
    made = place.post("dpo", "/issuer/grounds", body)
    approval = f"/issuer/grounds/{made.json()['id']}/approval"
    place.refused("second_approver", partial(place.post, "dpo", approval), status=403)
    marketing = [{"purpose": "marketing", "fields": [EMAIL]}]
    for code, bent in {
        "consent_only": {"processes": marketing},
        "role_not_allowed": {"roles": ["marketing"]},
        "field_not_needed": {"processes": [{"purpose": "service", "fields": ["contact.gender"]}]},
        "recipient_not_allowed": {"processes": [{**body["processes"][0], "recipients": ["did:web:x.example"]}]},  # type: ignore[dict-item]
        "unknown_field": {"processes": [{"purpose": "service", "fields": ["contact.iris_scan"]}]},
        "unknown_purpose": {"processes": [{"purpose": "spying", "fields": [EMAIL]}]},
        "unknown_subject": {"subjects": [SUBJECT]},
        "bad_valid_until": {"valid_until": iso(START - timedelta(days=1))},
        "bad_basis": {"basis": "dpv:Consent"},
    }.items():
        place.refused(code, partial(place.post, "dpo", "/issuer/grounds", {**body, **bent}))


def test_a_ground_declared_later_does_not_revive_what_was_withdrawn(place: Place) -> None:
    held = place.enrolled()
    given = held.give(place.asked(held, (GIVEN, EMAIL), "service"))
    assert held.call("POST", "/issuer/wallet/withdrawals", {"withdrawal": held.withdrawal(given)}).status_code == 201
    place.ground("revival", "service", (EMAIL,), subjects=[held.subject])
    assert place.shown(held.subject, "service", "service")["withheld"][EMAIL] == "withdrawn"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/staff/sessions", {"account": "sales", "password": PASSWORD, "role": "dpo"}),
        ("/issuer/invitations", {"subject": SUBJECT, "email": "me@example.org"}),
        ("/issuer/asks", {"subject": SUBJECT, "processes": [], "did": "did:web:x.example"}),
        (
            "/issuer/asks",
            {"subject": SUBJECT, "processes": [{"purpose": "marketing", "fields": [EMAIL], "duration": "P9Y"}]},
        ),
        ("/verifier/decisions", {"subject": SUBJECT, "purpose": "marketing", "fields": [EMAIL], "role": "dpo"}),
    ],
)
def test_a_body_has_no_room_for_more_than_is_asked_for(place: Place, path: str, body: dict[str, Any]) -> None:
    before = place.state()
    place.problem(place.post("marketing", path, body), "bad_request", status=422)
    assert place.state() == before


@pytest.mark.parametrize(
    ("code", "bent"),
    [
        ("bad_did", {"recipients": ["a partner"]}),
        ("bad_did", {"recipients": [""]}),
        ("unsupported_did", {"recipients": ["did:example:partner"]}),
        ("bad_jurisdiction", {"jurisdictions": [""]}),
        ("bad_jurisdiction", {"jurisdictions": ["x" * 40_000]}),
    ],
)
def test_an_ask_that_no_wallet_can_read_is_not_made(place: Place, mina: Held, code: str, bent: dict[str, Any]) -> None:
    given = mina.give(place.asked(mina, (EMAIL, CITY)))
    body = {"subject": mina.subject, "processes": [{"purpose": "third-party-sharing", "fields": [EMAIL], **bent}]}
    place.refused(code, partial(place.post, "marketing", "/issuer/asks", body))
    assert mina.call("GET", "/issuer/wallet/asks").status_code == 200
    assert mina.offer(given).replaces == given["id"]


def test_sign_ins_are_limited_and_those_that_fail_are_on_record(place: Place) -> None:
    seen, found = place.newest(), []
    for _ in range(21):  # ten fit into a minute, and the minute may be that of an earlier test and end between two
        act = place.http.post(f"{place.base}/staff/sessions", json={"account": "dan", "password": "x" * 12})
        found += codes([act])
        if act.status_code == 429:
            break
    assert found[-1] == "too_many_requests"
    assert int(act.headers["retry-after"]) > 0
    assert place.attempts(seen) == [one for one in found if one == "bad_sign_in"]


def test_a_tampered_or_ended_token_is_nobodys(place: Place) -> None:
    token = place.desk("dpo")["authorization"]
    for header in (
        token[:-1],
        token + "a",
        token.replace("Bearer", "Basic"),
        "Bearer",
        "Bearer \u00ff",
        "Bearer " + "a" * 40_000,
    ):
        answer = place.http.get(f"{place.base}/staff/me", headers={"authorization": header.encode("latin-1")})
        place.problem(answer, "not_signed_in", status=401)
