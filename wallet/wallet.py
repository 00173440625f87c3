"""The customer's side: enrol, look at what is asked, consent, narrow, withdraw, refuse, keep the receipts."""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx

from protocol import consent
from protocol.certificate import Certificate
from protocol.consent import Consent
from protocol.errors import EvidenceError
from protocol.ground import StatutoryGround
from protocol.receipt import Receipt
from wallet import answer, disposed, enrolling, keystore, link, names, offer, record, requests, settle
from wallet.client import Client
from wallet.disposed import Disposed
from wallet.enrolling import Enrolling
from wallet.errors import WalletError
from wallet.holding import SENT, Held, Holding, Pending, own_consent
from wallet.keystore import MODERATE, Keystore, Strength
from wallet.names import Names
from wallet.offer import Offer, Rejected
from wallet.record import History
from wallet.requests import Asked, Copy

EMPTY: Mapping[str, Any] = {"v": 1, "organisations": []}


def now() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


class Wallet:
    """An open wallet; use it as a context manager. Every verb saves before it returns.

    Verbs raise WalletError (what the owner can mend, and what the organisation refused) and EvidenceError (what the
    organisation signed does not hold). ``organisation`` is a DID, a part of one or a base URL; with a single
    organisation it may be left out.
    """

    def __init__(
        self, store: Keystore, *, clock: Callable[[], datetime] = now, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._client = Client(clock, transport=transport)
        organisations = [Holding.from_json(one) for one in store.content["organisations"]]
        self._holdings = {one.controller: one for one in organisations}

    @classmethod
    def create(
        cls,
        path: Path,
        passphrase: str,
        *,
        strength: Strength = MODERATE,
        clock: Callable[[], datetime] = now,
        transport: httpx.BaseTransport | None = None,
    ) -> Self:
        """A new, empty wallet; errors as of `Keystore.create`."""
        return cls(Keystore.create(path, passphrase, dict(EMPTY), strength=strength), clock=clock, transport=transport)

    @classmethod
    def open(
        cls,
        path: Path,
        passphrase: str,
        *,
        clock: Callable[[], datetime] = now,
        transport: httpx.BaseTransport | None = None,
    ) -> Self:
        """An existing wallet; errors as of `Keystore.open`."""
        return cls(Keystore.open(path, passphrase), clock=clock, transport=transport)

    def close(self) -> None:
        """Close the file and the connections."""
        self._client.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """Every organisation that this wallet knows."""
        return tuple(self._holdings.values())

    def holding(self, organisation: str | None = None) -> Holding:
        """One organisation; WalletError ``not_enrolled``, ``which_organisation``."""
        fitting = [
            one
            for one in self.holdings
            if one.enrolment is not None
            and (organisation is None or organisation == one.issuer or organisation in one.controller)
        ]
        if not fitting:
            raise WalletError("not_enrolled", "this wallet is enrolled with no such organisation; open its invitation")
        if len(fitting) > 1:
            raise WalletError("which_organisation", "there is more than one organisation; name it with --org")
        return fitting[0]

    def begin(self, invitation: str) -> Enrolling:
        """Open an invitation: pin the organisation, make a DID for it alone, and have the second code sent.

        Raises:
            WalletError: ``bad_link``, ``document_mismatch``, ``already_enrolled``, and what the organisation refuses.
        """
        opened = link.read(invitation)
        known = self._holdings.get(opened.did)
        if known is not None and known.enrolment is None:
            known = self._keep(enrolling.recover(self._client, known, at=self._clock()))
        if known is not None and known.enrolment is not None:
            raise WalletError("already_enrolled", "this wallet is enrolled with this organisation already")
        return enrolling.begin(self._client, opened, known)

    def complete(self, begun: Enrolling, code: str) -> Holding:
        """Prove the DID and hand in the second code; errors as of `enrolling.complete`."""
        self._keep(begun.holding)  # the key first: once the organisation knows the DID, it may not be lost
        enrolled = self._keep(enrolling.complete(self._client, begun, code, at=self._clock()))
        with contextlib.suppress(WalletError):  # else when it is first needed
            enrolled = self._pinned(enrolled)
        return enrolled

    def enrol(self, invitation: str, code: Callable[[str], str]) -> Holding:
        """`begin` and `complete`; ``code`` gets the channel to which the code went, and gives the code."""
        begun = self.begin(invitation)
        return self.complete(begun, code(begun.channel))

    def asks(self, organisation: str | None = None) -> tuple[tuple[Offer, ...], tuple[Rejected, ...]]:
        """The asks that can be answered, each verified and with its notice, and those that are not fit to be shown."""
        holding = self.holding(organisation)
        reply = self._client.call("GET", holding.at("FieldgrantIssuer", "/issuer/wallet/asks"), holding.signer)
        offers, rejected = [], []
        for document in answer.documents(reply, "asks"):
            try:
                ask = offer.verify(document, holding, at=self._clock())
                offers.append(Offer(ask=ask, notice=offer.notice(self._client, holding, ask.notice)))
            except (EvidenceError, WalletError) as error:
                rejected.append(Rejected(str(document["id"])[:80], error.code, error.detail))
        return tuple(offers), tuple(rejected)

    def ask(self, reference: str, organisation: str | None = None) -> Offer:
        """One open ask, by its id or a part of it; WalletError ``unknown_ask``, ``ambiguous``, why it is rejected."""
        offers, rejected = self.asks(organisation)
        long_enough = len(reference) >= 4
        for one in rejected:
            if reference == one.id or (long_enough and reference in one.id):
                raise WalletError(one.code, f"this ask is not what it should be: {one.detail}; do not answer it")
        fitting = [one for one in offers if reference == one.ask.id or (long_enough and reference in one.ask.id)]
        if not fitting:
            raise WalletError("unknown_ask", "there is no such open ask; `fieldgrant wallet asks` lists them")
        if len(fitting) > 1:
            raise WalletError("ambiguous", "more than one ask fits; write more of its id")
        return fitting[0]

    def given(self, consent_id: str, organisation: str | None = None) -> Consent:
        """A consent that the owner gave, by its id or a part of it; WalletError ``unknown_consent``, ``ambiguous``."""
        holding, held = self._held(consent_id, organisation)
        return own_consent(holding, held, at=self._clock())

    def consent(
        self,
        ask: str,
        fields: Mapping[str, Collection[str]] | Collection[str],
        *,
        until: datetime | None = None,
        organisation: str | None = None,
    ) -> Receipt:
        """Consent to exactly these fields: by purpose, or plain where the ask has one purpose.

        Raises:
            WalletError: as of `ask` and `offer.choose`, ``bad_until``, ``narrowing_offer``, what it is refused with.
            EvidenceError: ``receipt_mismatch``, ``status_mismatch`` and others: the answer does not hold.
        """
        found = self.ask(ask, organisation)
        if found.ask.replaces is not None:
            raise WalletError("narrowing_offer", "this ask is for narrowing; use `fieldgrant wallet narrow`")
        holding = self.holding(found.ask.controller)
        at = self._clock()
        processes = offer.choose(found.ask.processes, offer.by_purpose(found.ask.processes, fields))
        document = answer.give(found.ask, processes, holding, until=until, at=at)
        given = answer.reread(document, holding, at=at)
        consent.within(given, found.ask)
        holding = holding.with_consent(Held(document=document, standing=SENT, notice=found.notice))
        return self._settle(holding, Pending(settle.CONSENTS, {"consent": document}))

    def refuse(self, ask: str, organisation: str | None = None) -> Receipt:
        """Say no to an ask, on record; errors as of `consent`."""
        found = self.ask(ask, organisation)
        holding = self.holding(found.ask.controller)
        document = answer.refuse(found.ask, holding, at=self._clock())
        return self._settle(holding, Pending(settle.REFUSALS, {"refusal": document}))

    def narrow(
        self,
        consent_id: str,
        fields: Mapping[str, Collection[str]] | Collection[str],
        *,
        until: datetime | None = None,
        organisation: str | None = None,
    ) -> Receipt:
        """Give up part of a consent: withdraw it and give a smaller one, in one step; errors as of `consent`."""
        holding, held = self._held(consent_id, organisation)
        at = self._clock()
        old = own_consent(holding, held, at=at)
        url = holding.at("FieldgrantIssuer", "/issuer/wallet/narrowings/offers")
        reply = self._client.call("POST", url, holding.signer, body={"consent": old.id})
        ask = offer.verify(answer.document(reply, "ask"), holding, at=at)
        if ask.replaces != old.id:
            raise EvidenceError("foreign_ask", "the offer is for narrowing another consent", field="replaces")
        notice = offer.notice(self._client, holding, ask.notice)
        processes = offer.choose(old.processes, offer.by_purpose(old.processes, fields))
        latest = min(old.valid_until, ask.latest_until)
        document = answer.give(ask, processes, holding, until=until or latest, at=at)
        new = answer.reread(document, holding, at=at)
        consent.within(new, ask)
        consent.narrower(new, old)
        body = {"withdrawal": answer.withdraw(old, holding, at=at), "consent": document}
        holding = holding.with_consent(Held(document=document, standing=SENT, notice=notice))
        return self._settle(holding, Pending(settle.NARROWINGS, body))

    def withdraw(self, consent_id: str, organisation: str | None = None) -> Receipt:
        """End a consent; when this returns, no reading under it is under way any more. Errors as of `consent`."""
        holding, held = self._held(consent_id, organisation)
        at = self._clock()
        old = own_consent(holding, held, at=at)
        document = answer.withdraw(old, holding, at=at)
        return self._settle(holding, Pending(settle.WITHDRAWALS, {"withdrawal": document}))

    def resume(self) -> tuple[Receipt, ...]:
        """Send again what the network swallowed; the receipts that came.

        Answers that were refused meanwhile are dropped. What still fails waits on: it may not keep the owner from
        another verb, least of all from withdrawing.
        """
        received = []
        for holding in self.holdings:
            for pending in holding.pending:
                with contextlib.suppress(WalletError, EvidenceError):
                    received.append(self._settle(self._holdings[holding.controller], pending))
        return tuple(received)

    def history(self, organisation: str | None = None, *, limit: int = 50, before: str | None = None) -> History:
        """Who read, asked or changed what, newest first."""
        return record.history(self._client, self.holding(organisation), limit=limit, before=before)

    def receipts(self, organisation: str | None = None) -> tuple[Receipt, ...]:
        """All receipts, those that came while the wallet was closed included; EvidenceError if one does not hold."""
        holding, found = record.receipts(self._client, self.holding(organisation), at=self._clock())
        self._keep(holding)
        return found

    def certificates(self, organisation: str | None = None) -> tuple[Certificate, ...]:
        """What became of fields that lost their ground; EvidenceError if a certificate does not hold."""
        holding, found = record.certificates(self._client, self.holding(organisation), at=self._clock())
        self._keep(holding)
        return found

    def fate(self, organisation: str | None = None) -> Disposed:
        """What became of the owner's fields, the certificates verified and looked for in the log."""
        certified = self.certificates(organisation)
        holding = self._pinned(self.holding(organisation))
        checked = tuple(disposed.check(self._client, holding, one, at=self._clock()) for one in certified)
        return Disposed(disposed.state(self._client, holding), checked)

    def grounds(self, organisation: str | None = None) -> tuple[StatutoryGround, ...]:
        """The statutory grounds that an organisation claims about the owner."""
        return record.grounds(self._client, self.holding(organisation), at=self._clock())

    def ask_right(
        self,
        kind: str,
        *,
        organisation: str | None = None,
        purpose: str | None = None,
        ground: str | None = None,
        event: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Asked:
        """Ask for one of the owner's rights; errors as of `requests.ask`."""
        holding, at = self.holding(organisation), self._clock()
        return requests.ask(
            self._client, holding, kind, at=at, purpose=purpose, ground=ground, event=event, values=values
        )

    def requests(self, organisation: str | None = None) -> tuple[Asked, ...]:
        """What was asked, and where it stands; errors as of `requests.listing`."""
        return requests.listing(self._client, self.holding(organisation), at=self._clock())

    def copy(self, reference: str, organisation: str | None = None) -> Copy:
        """The answer to a request for a copy, opened; errors as of `requests.fetch`, ``unknown_request``."""
        holding = self.holding(organisation)
        asked = requests.find(self.requests(holding.controller), reference)
        return requests.fetch(self._client, holding, asked, at=self._clock())

    def refresh(self, organisation: str | None = None) -> Holding:
        """Bring the wallet up to what the organisation holds of the owner's own signatures, and its receipts."""
        holding = record.consents(self._client, self.holding(organisation), at=self._clock())
        return self._keep(record.receipts(self._client, holding, at=self._clock())[0])

    def names(self, language: str, *, online: bool = True) -> Names:
        """The organisations' own words for fields and purposes, as far as they can be had; never an error."""
        if online:
            for one in self.holdings:
                if one.enrolment is not None and (found := names.fetched(self._client, one)) != one.catalogue:
                    self._keep(replace(one, catalogue=found))
        return Names(language, {one.controller: one.catalogue for one in self.holdings if one.catalogue is not None})

    def backup(self, path: Path, passphrase: str, *, strength: Strength = MODERATE) -> None:
        """Write everything, keys included, into a file sealed under ``passphrase``; errors as of `keystore.backup`."""
        keystore.backup(self._store.content, path, passphrase, strength=strength)

    @classmethod
    def restore(
        cls,
        path: Path,
        backup: Path,
        backup_passphrase: str,
        passphrase: str,
        *,
        strength: Strength = MODERATE,
        clock: Callable[[], datetime] = now,
        transport: httpx.BaseTransport | None = None,
    ) -> Self:
        """A wallet out of a backup, where there is none yet; errors as of `keystore.open_backup`, `Keystore.create`."""
        content = keystore.open_backup(backup, backup_passphrase)
        return cls(Keystore.create(path, passphrase, content, strength=strength), clock=clock, transport=transport)

    def _held(self, consent_id: str, organisation: str | None) -> tuple[Holding, Held]:
        """A consent and whose it is; a wallet restored from an older backup asks the organisation for it."""
        holding = self._owner(consent_id, organisation)
        try:
            return holding, holding.held(consent_id)
        except WalletError as error:
            if error.code != "unknown_consent":
                raise
        holding = self.refresh(holding.controller)
        return holding, holding.held(consent_id)

    def _pinned(self, holding: Holding) -> Holding:
        """With the log's key, which is believed once: later heads of the log have to bear it."""
        if holding.log_key is not None:
            return holding
        return self._keep(replace(holding, log_key=disposed.log_key(self._client, holding)))

    def _owner(self, consent_id: str, organisation: str | None) -> Holding:
        if organisation is None:
            owners = [one for one in self.holdings if any(consent_id in held.id for held in one.consents)]
            if len(owners) == 1:
                return owners[0]
        return self.holding(organisation)

    def _settle(self, holding: Holding, pending: Pending) -> Receipt:
        if pending not in holding.pending:
            holding = replace(holding, pending=(*holding.pending, pending))
        self._keep(holding)  # before it is sent: an answer that may have arrived is never forgotten
        at = self._clock()
        try:
            settled, receipt = settle.send(self._client, holding, pending, at=at)
        except WalletError as error:
            if settle.refused(error):
                self._keep(settle.dropped(holding, pending))
            raise
        settled = self._keep(replace(settled, pending=tuple(one for one in settled.pending if one != pending)))
        settle.confirm(self._client, settled, pending, at=at)
        return receipt

    def _keep(self, holding: Holding) -> Holding:
        self._holdings[holding.controller] = holding
        self._store.content = {**EMPTY, "organisations": [one.to_json() for one in self.holdings]}
        self._store.save()
        return holding
