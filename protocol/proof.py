"""Data Integrity 1.0 proofs with the cryptosuites eddsa-jcs-2022 and eddsa-rdfc-2022 (VC Data Integrity EdDSA 1.0)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from protocol import canonical, context, multibase, rdf, times
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.keys import Signer, check_signature

JCS = "eddsa-jcs-2022"
RDFC = "eddsa-rdfc-2022"
MAX_PROOFS = 8
CLOCK_SKEW = timedelta(minutes=5)

_Form: TypeAlias = Callable[[Mapping[str, Any]], bytes]

_TEXTS = ("type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue")
_OPTIONAL_TEXTS = ("id", "challenge", "domain", "nonce")
_MEMBERS = frozenset((*_TEXTS, *_OPTIONAL_TEXTS, "@context", "created", "expires", "previousProof"))


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedProof:
    """What one proof says, once its signature has been verified."""

    verification_method: str
    did: Did
    created: datetime
    purpose: str
    suite: str
    challenge: str | None
    domain: str | None


def sign(
    document: Mapping[str, Any],
    signer: Signer,
    *,
    created: datetime,
    suite: str = JCS,
    purpose: str = "assertionMethod",
    challenge: str | None = None,
    domain: str | None = None,
) -> dict[str, Any]:
    """A copy of the document with a proof; beside proofs that it has already, as a proof set (§2.1.1).

    EvidenceError unsupported_suite, and what canonicalising refuses (`canonical.jcs`, `rdf.canonical`).
    """
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    config: dict[str, Any] = {
        "type": "DataIntegrityProof",
        "cryptosuite": suite,
        "created": times.iso(created),
        "verificationMethod": signer.verification_method,
        "proofPurpose": purpose,
    }
    config |= {name: text for name, text in (("challenge", challenge), ("domain", domain)) if text is not None}
    if suite == JCS and "@context" in unsecured:
        config["@context"] = unsecured["@context"]
    signature = signer.sign(_hashes(unsecured, config))
    earlier = _listed(document["proof"]) if "proof" in document else []
    proof = {**config, "proofValue": multibase.encode(signature)}
    return {**unsecured, "proof": [*earlier, proof] if earlier else proof}


def verify(
    document: Mapping[str, Any],
    keys: Keys,
    *,
    purpose: str = "assertionMethod",
    expected_challenge: str | None = None,
    expected_domain: str | None = None,
    at: datetime | None = None,
    plain: bool = False,
    contexts_known: bool = False,
) -> tuple[VerifiedProof, ...]:
    """Verify every proof of a document, sets and chains too (§4.3, §4.4); `at` also judges their dates.

    Who has just read the document can say what is found out already: that `canonical.read` found it `plain`, and that
    `context.check` has nothing to refuse.

    EvidenceError: no_proof, bad_proof, unsupported_suite, wrong_purpose, wrong_challenge, wrong_domain, bad_datetime,
    proof_expired, proof_from_future, bad_signature, context_unknown, those of `Keys.public` and of canonicalising.
    """
    proofs = _listed(document.get("proof"))
    unsecured = dict(document)
    del unsecured["proof"]
    if not contexts_known:
        context.check(document)
    form = canonical.plain if plain else canonical.jcs
    verified = []
    for proof in proofs:
        told = _read(proof, at=at)
        if told.purpose != purpose:
            raise EvidenceError("wrong_purpose", f"a proof for {purpose} is expected", field="proof.proofPurpose")
        if expected_challenge is not None and told.challenge != expected_challenge:
            raise EvidenceError("wrong_challenge", "not the challenge that was set", field="proof.challenge")
        if expected_domain is not None and told.domain != expected_domain:
            raise EvidenceError("wrong_domain", "made for another domain", field="proof.domain")
        _check(unsecured, proof, proofs, keys, form)
        verified.append(told)
    return tuple(verified)


def _listed(value: object) -> list[Mapping[str, Any]]:
    if value is None or value == []:
        raise EvidenceError("no_proof", "the document carries no proof", field="proof")
    proofs: list[Any] = value if isinstance(value, list) else [value]
    if len(proofs) > MAX_PROOFS or not all(isinstance(proof, Mapping) for proof in proofs):
        raise EvidenceError("bad_proof", f"not a proof, or more than {MAX_PROOFS}", field="proof")
    return proofs


def _read(proof: Mapping[str, Any], *, at: datetime | None) -> VerifiedProof:
    for name in _TEXTS:
        if not isinstance(proof.get(name), str):
            raise EvidenceError("bad_proof", "a member is missing or not a text", field=f"proof.{name}")
    if not _MEMBERS.issuperset(proof):
        raise EvidenceError("bad_proof", "a member that no proof has", field="proof")
    if proof["type"] != "DataIntegrityProof" or proof["cryptosuite"] not in (JCS, RDFC):
        raise EvidenceError("unsupported_suite", "neither eddsa-jcs-2022 nor eddsa-rdfc-2022", field="proof.type")
    for name in _OPTIONAL_TEXTS:
        if not isinstance(proof.get(name, ""), str):
            raise EvidenceError("bad_proof", "a member is not a text", field=f"proof.{name}")
    created = times.parse(proof.get("created"), field="proof.created")
    expires = times.parse(proof["expires"], field="proof.expires") if "expires" in proof else None
    if at is not None and created > at + CLOCK_SKEW:
        raise EvidenceError("proof_from_future", "made later than now", field="proof.created")
    if at is not None and expires is not None and expires <= at:
        raise EvidenceError("proof_expired", "the proof has expired", field="proof.expires")
    method = proof["verificationMethod"]
    return VerifiedProof(
        verification_method=method,
        did=Did(method.partition("#")[0]),
        created=created,
        purpose=proof["proofPurpose"],
        suite=proof["cryptosuite"],
        challenge=proof.get("challenge"),
        domain=proof.get("domain"),
    )


def _check(
    unsecured: Mapping[str, Any], proof: Mapping[str, Any], proofs: Sequence[Mapping[str, Any]], keys: Keys, form: _Form
) -> None:
    public = keys.public(proof["verificationMethod"], purpose=proof["proofPurpose"])
    try:
        signature = multibase.decode(proof["proofValue"], length=64)
    except EvidenceError:
        raise EvidenceError("bad_signature", "not a signature in base58btc", field="proof.proofValue") from None
    signed = dict(unsecured)
    if "previousProof" in proof:
        signed["proof"] = _previous(proof["previousProof"], proofs)
    config = dict(proof)
    del config["proofValue"]
    check_signature(public, _hashes(signed, config, form), signature)


def _previous(names: object, proofs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The proofs that a chain's later proof signs (§4.4 step 2), each known by exactly one id."""
    wanted = names if isinstance(names, list) else [names]
    ids = [proof["id"] for proof in proofs if "id" in proof]
    if not wanted or any(not isinstance(name, str) or ids.count(name) != 1 for name in wanted):
        raise EvidenceError("bad_proof", "a previous proof is missing or ambiguous", field="proof.previousProof")
    return [proof for proof in proofs if proof.get("id") in wanted]


def _hashes(document: Mapping[str, Any], config: Mapping[str, Any], form: _Form = canonical.jcs) -> bytes:
    """The 64 bytes that are signed: the hash of the proof's options, then that of the document (§3.2.4, §3.3.4)."""
    if config["cryptosuite"] == JCS:
        if "@context" in config:
            document = {**document, "@context": _shared_context(document, config)}
        signed = form(config), form(document)
    elif config["cryptosuite"] == RDFC:
        if "@context" in config and config["@context"] != document.get("@context"):
            raise EvidenceError("bad_proof", "the proof's context is not the document's", field="proof.@context")
        options = {**config, "@context": document.get("@context", [])}
        signed = rdf.canonical(options), rdf.canonical(document)
    else:
        raise EvidenceError("unsupported_suite", "neither eddsa-jcs-2022 nor eddsa-rdfc-2022", field="proof.type")
    options_bytes, document_bytes = signed
    return hashlib.sha256(options_bytes).digest() + hashlib.sha256(document_bytes).digest()


def _shared_context(document: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    """The proof's context, which the document's must start with (§3.3.2 step 4)."""
    own, whole = config["@context"], document.get("@context")
    first = own if isinstance(own, list) else [own]
    if (whole if isinstance(whole, list) else [whole])[: len(first)] != first:
        raise EvidenceError("bad_proof", "the document does not start with the proof's contexts", field="@context")
    return own
