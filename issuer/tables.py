"""Every table of this package, in one place for the migrations' metadata."""

from issuer.credentials import Credential, GroundSubject, Standing
from issuer.invitation import Challenge, Invitation
from issuer.statuslists import StatusEntry, StatusList
from issuer.wallet_auth import Nonce

__all__ = ["Challenge", "Credential", "GroundSubject", "Invitation", "Nonce", "Standing", "StatusEntry", "StatusList"]
