"""Whose evidence is the same: new customers have nothing but the statutory grounds for everyone.

What is the same for all of them is examined once per batch. Whoever has anything of their own (a wallet, an ask, a
consent, a line in the journal, a ground that names them) is examined alone.
"""

from collections.abc import Hashable
from dataclasses import fields
from datetime import datetime

from issuer.evidence import Evidence
from protocol.errors import EvidenceError
from runtime.platform import Platform
from verifier.verdicts import Verdicts

_SHARED = frozenset({"grounds", "version"})
_NAMES = tuple(field.name for field in fields(Evidence) if field.name != "subject")


class Likeness:
    """Tells evidence that proves the same for whichever subject it is about."""

    def __init__(self, platform: Platform, at: datetime) -> None:
        self._journal, self._verdicts = platform.journal, Verdicts(platform, at)
        self._general: dict[bytes, bool] = {}

    def of(self, evidence: Evidence) -> Hashable | None:
        """Equal for evidence that proves the same; None for evidence to be examined alone."""
        if any(getattr(evidence, name) for name in _NAMES if name not in _SHARED):
            return None
        if self._journal.named(evidence.subject) or not all(self._concerns_all(one.body) for one in evidence.grounds):
            return None
        return evidence.version, evidence.grounds

    def _concerns_all(self, body: bytes) -> bool:
        known = self._general.get(body)
        if known is None:
            known = self._general[body] = self._look(body)
        return known

    def _look(self, body: bytes) -> bool:
        try:
            return self._verdicts.ground(body).subjects is None
        except EvidenceError:
            return False  # it proves nothing, and each subject's examination says so
