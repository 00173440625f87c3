"""What the journal says was given: consents that answered an ask, and statutory grounds that two officers approved.

Rows of them that somebody takes out of the database are missed here: what is gone may be what still covers a field.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any, Final

ANSWER, APPROVED, CLOSED = "answer", "ground", "closed"  # kinds of lines
EVERYONE: Final = "*"
_SHORT: Final = 16  # bytes in the place of an id: there are as many answers as there are consents
_PAIR: Final = 2 * _SHORT  # an ask, and the consent that answered it


class Given:
    """Takes line after line. Of several answers to an ask the last one counts, and none if the ask was closed then.

    An answer is in the journal before its commit, and a commit can fail.
    """

    def __init__(self) -> None:
        self._answers: dict[str, bytes] = {}  # by subject: pairs
        self._grounds: dict[str, set[str]] = {}  # by subject or `EVERYONE`: ids

    def take(self, body: Mapping[str, Any]) -> None:
        """One line, of whatever kind."""
        kind = body.get("kind")
        if kind == ANSWER and "ask" in (evidence := body.get("evidence", {})):
            given = evidence.get("consent")  # else a refusal
            self._decide(str(body["subject"]), str(evidence["ask"]["id"]), None if given is None else str(given["id"]))
        elif kind == CLOSED:
            self._decide(str(body.get("subject")), str(body["id"]), None)
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
        return any(pairs[start + _SHORT : start + _PAIR] not in there for start in range(0, len(pairs), _PAIR))

    def grounds(self, subject: str) -> frozenset[str]:
        """The approved grounds that speak of the subject, or of everyone."""
        return frozenset(self._grounds.get(EVERYONE, ())) | frozenset(self._grounds.get(subject, ()))

    def _decide(self, subject: str, ask: str, consent: str | None) -> None:
        known, short = self._answers.get(subject, b""), _short(ask)
        pairs = (known[start : start + _PAIR] for start in range(0, len(known), _PAIR))
        left = b"".join(pair for pair in pairs if not pair.startswith(short))
        if consent is not None:
            left += short + _short(consent)
        if left or known:
            self._answers[subject] = left


def _short(id_: str) -> bytes:
    return hashlib.blake2b(id_.encode(), digest_size=_SHORT).digest()
