"""How invitations go out: the channels on file and the carriers, as composition hands them in."""

from collections.abc import Callable
from dataclasses import dataclass

from issuer import invitation
from issuer.invitation import Invitation, Opened
from issuer.mail import Channels, Post
from protocol.consent import SubjectId
from runtime.platform import Platform
from runtime.staff import Staff


@dataclass(frozen=True, slots=True)
class Inviting:
    """`channels(subject)` reads the channels on file (through the gate, as the mailer); `post` carries the messages."""

    platform: Platform
    channels: Callable[[SubjectId], Channels]
    post: Post

    def invite(self, staff: Staff, subject: SubjectId) -> Invitation:
        """See `invitation.invite`."""
        return invitation.invite(self.platform, self.channels, self.post, staff, subject)

    def open(self, token: str) -> Opened:
        """See `invitation.open_`."""
        return invitation.open_(self.platform, self.channels, self.post, token)
