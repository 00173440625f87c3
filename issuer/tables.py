"""Every table of this package, in one place for the migrations' metadata."""

from issuer.challenges import Challenge
from issuer.credentials import Credential, GroundSubject, Standing
from issuer.invitation import Invitation
from issuer.settling import Settling
from issuer.statuslists import StatusEntry, StatusList
from issuer.wallet_auth import Nonce

__all__ = [
    "Challenge",
    "Credential",
    "GroundSubject",
    "Invitation",
    "Nonce",
    "Settling",
    "Standing",
    "StatusEntry",
    "StatusList",
]
