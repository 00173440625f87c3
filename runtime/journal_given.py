"""What the journal says was given: consents that answered an ask, and statutory grounds that two officers approved.

Rows of them that somebody takes out of the database are missed here: what is gone may be what still covers a field.
So are the statements that a narrowing speaks of, for whoever judges must have them.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

NARROWING, ANSWER, APPROVED, CLOSED = "narrowing", "answer", "ground", "closed"  # kinds of lines
EVERYONE: Final = "*"
_STATEMENTS: Final = ("enrolment", "consent", "given", "exclusion")
_SHORT: Final = 16  # bytes in the place of an id: there are as many answers as there are consents
_PAIR: Final = 2 * _SHORT  # an ask, and what answered it


class Given:
    """Takes line after line. Of several answers to an ask the last one counts, and none if the ask was closed then.

    An answer is in the journal before its commit, and a commit can fail. The consent that a narrowing brings answers an
    ask as well.
    """

    def __init__(self) -> None:
        self._answers: dict[str, bytes] = {}  # by subject: pairs
        self._refusals: dict[str, bytes] = {}  # by subject: pairs
        self._narrower: dict[tuple[str, str], str] = {}  # by subject and ask: the consent that replaced a wider one
        self._named: dict[str, set[str]] = {}  # by subject: ids
        self._grounds: dict[str, set[str]] = {}  # by subject or `EVERYONE`: ids

    def take(self, body: Mapping[str, Any]) -> None:
        """One line, of whatever kind."""
        kind = body.get("kind")
        if kind == ANSWER and (ask := _id(evidence := body.get("evidence", {}), "ask")) is not None:
            self._decide(str(body["subject"]), ask, evidence)
        elif kind == CLOSED:
            self._decide(str(body.get("subject")), str(body["id"]), {})
        elif kind == NARROWING:
            self._narrow(str(body["subject"]), body)
        elif kind == APPROVED:
            document = body["ground"]
            declared = document.get("credentialSubject", {}).get("declaresGround", {})
            for whom in declared.get("coversSubject", ()):
                self._grounds.setdefault(str(whom), set()).add(str(document["id"]))

    def consents_missing(self, subject: str, known: Collection[str]) -> bool:
        """Whether the subject gave a consent that is not among these."""
        pairs = self._answers.get(subject)
        if not pairs:
            return False
        there = set(map(_short, known))
        return any(pair[_SHORT:] not in there for pair in _split(pairs))

    def answered(self, subject: str, ask: str, known: Collection[str]) -> bool:
        """Whether one of these consents answered the ask, and nothing else since."""
        if (narrower := self._narrower.get((subject, ask))) is not None:
            return narrower in known
        pairs = set(_split(self._answers.get(subject, b"")))
        return bool(pairs) and any(_short(ask) + _short(one) in pairs for one in known)

    def gave(self, subject: str, consent: str) -> bool:
        """Whether the subject gave this consent, by an answer or a narrowing."""
        short = _short(consent)
        if any(pair[_SHORT:] == short for pair in _split(self._answers.get(subject, b""))):
            return True
        return consent in self._named.get(subject, ())

    def counts(self, body: Mapping[str, Any]) -> bool:
        """Whether this answer is still the last that was said to its ask."""
        subject, evidence = str(body["subject"]), body.get("evidence", {})
        ask, given, refused = (_id(evidence, kind) for kind in ("ask", "consent", "refusal"))
        pairs, id_ = (self._answers, given) if given is not None else (self._refusals, refused)
        return ask is not None and id_ is not None and _short(ask) + _short(id_) in _split(pairs.get(subject, b""))

    def named(self, subject: str) -> frozenset[str]:
        """The ids of enrolments, consents and exclusions that the subject's narrowings speak of."""
        return frozenset(self._named.get(subject, ()))

    def grounds(self, subject: str) -> frozenset[str]:
        """The approved grounds that speak of the subject, or of everyone."""
        return frozenset(self._grounds.get(EVERYONE, ())) | frozenset(self._grounds.get(subject, ()))

    def _decide(self, subject: str, ask: str, evidence: Mapping[str, Any]) -> None:
        """What these papers answer is the last word on the ask; nothing: it was closed."""
        self._unsay(subject, ask)
        short = _short(ask)
        for answers, kind in ((self._answers, "consent"), (self._refusals, "refusal")):
            known = answers.get(subject, b"")
            left = b"".join(pair for pair in _split(known) if not pair.startswith(short))
            if (id_ := _id(evidence, kind)) is not None:
                left += short + _short(id_)
            if left or known:
                answers[subject] = left

    def _narrow(self, subject: str, body: Mapping[str, Any]) -> None:
        evidence = body.get("evidence", {})
        ask, consent = _id(evidence, "ask"), _id(evidence, "consent")
        if ask is not None and consent is not None:
            self._unsay(subject, ask)
            self._narrower[subject, ask] = consent
        named = self._named.setdefault(subject, set())
        named.update(map(str, body.get("ended", ())))
        named.update(id_ for kind in _STATEMENTS if (id_ := _id(evidence, kind)) is not None)

    def _unsay(self, subject: str, ask: str) -> None:
        """The narrowing that answered this ask was never committed: nobody must have what it brought."""
        if (consent := self._narrower.pop((subject, ask), None)) is not None:
            self._named[subject].discard(consent)


def _split(pairs: bytes) -> Iterator[bytes]:
    return (pairs[start : start + _PAIR] for start in range(0, len(pairs), _PAIR))


def _id(evidence: Mapping[str, Any], kind: str) -> str | None:
    """None also for a paper that bears none: a line is for ever, and whoever reads it must come past it."""
    paper = evidence.get(kind)
    return str(paper["id"]) if isinstance(paper, Mapping) and "id" in paper else None


def _short(id_: str) -> bytes:
    return hashlib.blake2b(id_.encode(), digest_size=_SHORT).digest()
