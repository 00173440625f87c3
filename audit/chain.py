"""The chain of one subject's records: each link holds its place, its predecessor and its record. Pure."""

from collections.abc import Iterable, Iterator

from protocol import log as rfc6962

GENESIS = bytes(rfc6962.HASH_SIZE)
"""What the first link has in the place of a predecessor."""


def links(commitments: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """(previous link, link) for each record's commitment in turn."""
    before = GENESIS
    for sequence, commitment in enumerate(commitments):
        link = rfc6962.chain_link(sequence, before, commitment)
        yield before, link
        before = link
