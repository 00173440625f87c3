"""Versions for optimistic concurrency: a keyed digest over exactly what a visit sees, so it tells nothing else.

A number that counted changes would tell of changes to withheld fields; this stays the same through them, and through a
new generation. Two equal states have one version, which does no harm: who overwrites it overwrites what they saw.
"""

import hashlib
from collections.abc import Mapping

from crm_core.seal import Value
from protocol import canonical
from protocol.consent import Field
from runtime.platform import Platform
from verifier.gate import Visit


def of(platform: Platform, visit: Visit, about: str, values: Mapping[Field, Value | None]) -> str:
    """The version of a record or an item (`about`) with these granted values; absent ones do not count."""
    present = {field: value for field, value in values.items() if value is not None}
    said = canonical.jcs([about, visit.purpose, visit.reader.account, present])
    return hashlib.blake2b(said, digest_size=16, key=platform.keyring.secret("versions")).hexdigest()
