"""A site's server lets a browser upload in its name: for a key that the page has just made, for minutes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from protocol import proof, touchpoint
from protocol.did import Did, public_of
from protocol.errors import EvidenceError
from protocol.keys import Signer
from protocol.touchpoint import DELEGATION_LIFE
from protocol.vocabulary import fresh_id


def delegate(
    signer: Signer,
    browser: str,
    *,
    controller: str,
    scope: Mapping[str, Sequence[str]],
    origins: Sequence[str],
    at: datetime,
) -> dict[str, Any]:
    """A signed delegation for a browser's did:key, good for 15 minutes from `at`.

    `scope` gives the fields by purpose (IRI); more than the touchpoint's own registration is refused by the gateway.
    EvidenceError `bad_did`, `unsupported_did` for what is no browser's key.
    """
    public_of(browser)
    if "#" in browser:
        raise EvidenceError("bad_did", "the DID itself is wanted, without its fragment")
    unsigned = touchpoint.build_delegation(
        id=fresh_id(),
        touchpoint=signer.did,
        browser=Did(browser),
        controller=Did(controller),
        scope=scope,
        origins=origins,
        valid_from=at,
        valid_until=at + DELEGATION_LIFE,
    )
    return proof.sign(unsigned, signer, created=at)
