"""What is on record of a release, as JCS text (RFC 8785): what many customers have in common is written once."""

from functools import lru_cache

import orjson

from protocol import canonical
from protocol.consent import Field
from verifier.passage import Verdict, Visit

NOBODY = '[{"data":{"released":[]},"subject":null}]'
"""The records of a page without rows: a read too, and it names nobody."""


class Wording:
    """`of(verdict, asked)`, one record after the other. The same as JCS of what `passage.told` says."""

    __slots__ = ("_alike",)

    def __init__(self) -> None:
        # What is known by its identity is kept beside, so that nothing else gets that identity.
        self._alike: dict[tuple[object, ...], tuple[object, object, str]] = {}

    def of(self, verdict: Verdict, asked: frozenset[Field]) -> str:
        """`{"data":{…},"subject":…}`: names of fields, never a value. TypeError for a subject that is no text."""
        subject, released, reasons, version, grounds, _ = verdict
        key = (asked, released, id(reasons), version)
        known = self._alike.get(key)
        if known is None:
            rest = f'}},"released":{_listed(asked, released)},"version":{version:d},"withheld":{_why(verdict, asked)}}}'
            known = self._alike[key] = (reasons, released, rest + ',"subject":')
        used = ",".join(
            [
                f"{_text(ground)}:{_listed(asked, fields)}"
                for ground, fields in (grounds.items() if len(grounds) < 2 else sorted(grounds.items()))
                if not asked.isdisjoint(fields)
            ]
        )
        return f'{{"data":{{"grounds":{{{used}{known[2]}{_text(subject)}}}'


def header(visit: Visit, query: str) -> str:
    """The header of a release; `query` is JCS, and names fields and operators, never an operand."""
    reader = visit.reader
    who = (reader.did, reader.role, visit.purpose, visit.recipient, visit.processing, visit.jurisdiction)
    return _header(who, query)


@lru_cache(maxsize=256)
def _header(who: tuple[str, ...], query: str) -> str:
    did, role, purpose, recipient, processing, jurisdiction = map(_text, who)
    return (
        f'{{"jurisdiction":{jurisdiction},"processing":{processing},"purpose":{purpose},"query":{query},'
        f'"reader":{did},"recipient":{recipient},"role":{role}}}'
    )


@lru_cache(maxsize=1024)
def _listed(asked: frozenset[Field], fields: frozenset[Field]) -> str:
    return canonical.jcs(sorted(asked & fields)).decode()


def _why(verdict: Verdict, asked: frozenset[Field]) -> str:
    why = verdict.reasons
    return canonical.jcs({field: why[field].value for field in asked - verdict.released}).decode()


def _text(text: str) -> str:
    return orjson.dumps(text).decode()  # for a text the same bytes as JCS
