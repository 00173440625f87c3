"""What a batch of writes did to a customer, so that it can be undone: digests and sealed boxes, never a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from protocol.consent import Field, SubjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a batch did to one customer: the digest of what it wrote, per field, and the sealed boxes from before.

    A new customer has `before` None and, as `wrote`, the one digest of all its cells under the name "".
    """

    subject: SubjectId
    generation: int
    wrote: Mapping[Field, bytes]
    before: Mapping[Field, bytes] | None


def mark(box: bytes) -> bytes:
    """The digest by which it is seen later whether something is still as it was written."""
    return blake2b(box, digest_size=16).digest()
