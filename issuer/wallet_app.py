"""What wallets do: enrol, see what is asked, answer, narrow, withdraw, fetch receipts.

Bodies are signed bytes, parsed strictly.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from issuer import ask_ending, asks, attempts, credentials, enrolment, grounds
from issuer.credentials import Credential
from issuer.invite import Inviting
from issuer.registry import Registry
from issuer.wallet_auth import WalletCaller, address_of, refuse_staff, wallet_caller
from protocol import canonical, times
from runtime.limits import RateLimit
from runtime.problem import Problem, json_body

Json = dict[str, Any]
ENROLMENTS = "120/minute"  # per network address
_PROOF = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofValue": "z3FXQ…"}
_INVITED = {"token": "qK3mV0…"}
_UUID = "urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de"
_CREDENTIAL = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://ns.fieldgrant.example/consent/v1"],
    "id": _UUID,
    "type": ["VerifiableCredential", "ConsentCredential"],
    "issuer": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
    "credentialSubject": {"id": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"},
    "proof": _PROOF,
}
_PRESENTATION = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "type": ["VerifiablePresentation"],
    "holder": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
    "proof": {**_PROOF, "proofPurpose": "authentication", "challenge": "kq3…", "domain": "http://localhost:8700"},
}


def _body(**members: Any) -> Json:
    """OpenAPI's description of a body that FastAPI must not parse itself."""
    schema = {
        "type": "object",
        "required": list(members),
        "properties": {name: {"type": "string" if isinstance(one, str) else "object"} for name, one in members.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": members}}}}


def router(registry: Registry, inviting: Inviting) -> APIRouter:
    """Routes for wallets."""
    routes = APIRouter(prefix="/issuer", tags=["wallet"])
    routes.include_router(_enrolling(registry, inviting))
    caller = wallet_caller(registry.platform)
    routes.include_router(_reading(registry, caller))
    routes.include_router(_answering(registry, caller))
    return routes


def _enrolling(registry: Registry, inviting: Inviting) -> APIRouter:
    routes, limit = APIRouter(), RateLimit(ENROLMENTS)
    platform = registry.platform

    def newcomer(request: Request) -> None:
        limit.hit(address_of(request))
        refuse_staff(platform, request, "enrolment")

    Body = Annotated[Json, Depends(json_body())]  # noqa: N806 - a type

    @routes.post(
        "/enrolments/challenge", dependencies=[Depends(newcomer)], summary="Open an invitation",
        openapi_extra=_body(**_INVITED),
    )  # fmt: skip
    def challenge(body: Body) -> Json:
        """What to sign to enrol. A code of eight digits goes to the second channel on file;
        `code_channel` hints at which.
        """
        (token,) = _texts(registry, "enrolment-challenge", body, "token")
        opened = inviting.open(token)
        return {
            "challenge": opened.challenge,
            "domain": opened.domain,
            "expires_at": times.iso(opened.expires),
            "code_channel": opened.code_channel,
        }

    @routes.post(
        "/enrolments", status_code=201, dependencies=[Depends(newcomer)], summary="Enrol a wallet",
        openapi_extra=_body(**_INVITED, code="01234567", presentation=_PRESENTATION),
    )  # fmt: skip
    def enrol(body: Body) -> Json:
        """Bind the DID that signed the presentation to the customer. Five wrong codes end the invitation."""
        token, code = _texts(registry, "enrolment", body, "token", "code", beside=("presentation",))
        return {"enrolment": enrolment.complete(registry, token, code, _object(registry, "enrolment", body))}

    return routes


def _reading(registry: Registry, caller: Any) -> APIRouter:
    routes, platform = APIRouter(prefix="/wallet"), registry.platform
    Wallet = Annotated[WalletCaller, Depends(caller)]  # noqa: N806 - a type

    def listing(wallet: WalletCaller, kind: str) -> Json:
        at = platform.clock.now()
        with platform.database.read() as session:
            rows = credentials.of_kind(session, kind, did=wallet.did)
        return {"items": [asks.listed(row, at) for row in rows]}

    @routes.get("/asks", summary="Open asks")
    def open_asks(wallet: Wallet) -> Json:
        """The signed asks that wait for an answer, oldest first; offers to narrow a consent among them."""
        with platform.database.read() as session:
            return {"items": [{"credential": one.document} for one in asks.open_asks(session, platform, wallet.did)]}

    @routes.get("/asks/{id}", summary="One ask to you")
    def one_ask(wallet: Wallet, id: Annotated[str, Path(examples=[_UUID])]) -> Json:
        """How an ask stands that a link led to: living, answered, refused, superseded, expired, revoked (ended by us).

        One that was made to another wallet is as unknown as one that never was.
        """
        with platform.database.read() as session:
            row = session.get(Credential, id)
        if row is None or row.kind != "ask" or row.did != wallet.did:
            raise Problem(404, "unknown_ask", "We made no such ask to this wallet.")
        return {**asks.listed(row, platform.clock.now()), "standing": ask_ending.standing(platform, row)}

    @routes.get("/enrolments", summary="Your enrolment")
    def enrolments(wallet: Wallet) -> Json:
        """The enrolment credential, for a wallet that missed the answer when it enrolled."""
        return listing(wallet, "enrolment")

    @routes.get("/consents", summary="Your consents")
    def consents(wallet: Wallet) -> Json:
        """Every consent that you signed, with its standing."""
        return listing(wallet, "consent")

    @routes.get("/receipts", summary="Your receipts")
    def receipts(wallet: Wallet) -> Json:
        """Every receipt that we signed for you, oldest first."""
        return listing(wallet, "receipt")

    @routes.get("/grounds", summary="What we use without asking you")
    def statutory(wallet: Wallet) -> Json:
        """The statutory grounds that cover you, each with the proofs of the people who answer for it."""
        with platform.database.read() as session:
            return {"items": grounds.listed(session, platform.clock.now(), subject=wallet.subject)}

    return routes


def _answering(registry: Registry, caller: Any) -> APIRouter:
    routes = APIRouter(prefix="/wallet")
    Wallet = Annotated[WalletCaller, Depends(caller)]  # noqa: N806 - a type
    Body = Annotated[Json, Depends(json_body())]  # noqa: N806

    @routes.post("/consents", status_code=201, summary="Give a consent", openapi_extra=_body(consent=_CREDENTIAL))
    def consent(body: Body, wallet: Wallet) -> Json:
        """A ConsentCredential over the ask's challenge and domain, within what the ask offers.

        The same again: the same receipt.
        """
        (given,) = _signed(registry, wallet, "consent", body, "consent")
        return {"receipt": registry.consent(given, wallet.did)}

    @routes.post("/refusals", status_code=201, summary="Say no", openapi_extra=_body(refusal=_CREDENTIAL))
    def refuse(body: Body, wallet: Wallet) -> Json:
        """A ConsentRefusalCredential over the ask's challenge and domain."""
        (refusal,) = _signed(registry, wallet, "refusal", body, "refusal")
        return {"receipt": registry.refuse(refusal, wallet.did)}

    @routes.post("/narrowings/offers", status_code=201, summary="Ask to narrow", openapi_extra=_body(consent=_UUID))
    def offer(body: Body, wallet: Wallet) -> Json:
        """An ask with a fresh challenge and status index under which this consent may be replaced by a smaller one."""
        with attempts.recorded(registry.platform, "narrowing-offer", did=wallet.did, subject=wallet.subject):
            (consent_id,) = _members(body, ("consent",), str)
        return {"ask": registry.offer_narrowing(consent_id, wallet.did)}

    @routes.post(
        "/narrowings", status_code=201, summary="Narrow a consent",
        openapi_extra=_body(withdrawal=_CREDENTIAL, consent=_CREDENTIAL),
    )  # fmt: skip
    def narrow(body: Body, wallet: Wallet) -> Json:
        """Withdrawal of the old and the smaller consent, taken together or not at all.

        Answers once what was lost is shut.
        """
        withdrawal, given = _signed(registry, wallet, "narrowing", body, "withdrawal", "consent")
        return {"receipt": registry.narrow(withdrawal, given, wallet.did)}

    @routes.post(
        "/withdrawals", status_code=201, summary="Withdraw a consent", openapi_extra=_body(withdrawal=_CREDENTIAL)
    )
    def withdraw(body: Body, wallet: Wallet) -> Json:
        """A ConsentWithdrawalCredential. When this answers, no read returns the fields any more,
        not even one under way.
        """
        (withdrawal,) = _signed(registry, wallet, "withdrawal", body, "withdrawal")
        return {"receipt": registry.withdraw(withdrawal, wallet.did)}

    return routes


def _signed(registry: Registry, wallet: WalletCaller, action: str, body: Json, *names: str) -> list[bytes]:
    """The signed documents in a body, each as its JCS bytes."""
    with attempts.recorded(registry.platform, action, did=wallet.did, subject=wallet.subject):
        return [canonical.jcs(one) for one in _members(body, names, dict)]


def _texts(registry: Registry, action: str, body: Json, *names: str, beside: tuple[str, ...] = ()) -> list[str]:
    with attempts.recorded(registry.platform, action):
        found: list[str] = _members(body, names, str, beside=beside)
        if any(len(one) > 512 for one in found):
            raise Problem(422, "bad_request", "This is too long.", field=names[0])
        return found


def _object(registry: Registry, action: str, body: Json) -> Json:
    with attempts.recorded(registry.platform, action):
        (found,) = _members(body, ("presentation",), dict, beside=("token", "code"))
        return dict(found)


def _members(body: Json, names: tuple[str, ...], kind: type, *, beside: tuple[str, ...] = ()) -> list[Any]:
    """The members of a body, each of its kind and none left over; Problem 422 `bad_request`."""
    for name in names:
        if not isinstance(body.get(name), kind):
            raise Problem(422, "bad_request", f"{name} is missing or of another kind.", field=name)
    if set(body) - set(names) - set(beside):
        raise Problem(422, "bad_request", f"Only {', '.join(sorted({*names, *beside}))} may stand here.")
    return [body[name] for name in names]
