"""What a touchpoint needs to upload: a client, its sealed offline queue, and delegations for pages.

It uses `protocol` and nothing of the server, so it can be installed where no organisation's platform is.
"""

from fieldgrant.touchpoint.client import Flushed, Outcome, Touchpoint, TouchpointError
from fieldgrant.touchpoint.delegating import delegate
from fieldgrant.touchpoint.queue import QueueError, SealedQueue
from protocol.keys import Ed25519Signer

__all__ = [
    "Ed25519Signer",
    "Flushed",
    "Outcome",
    "QueueError",
    "SealedQueue",
    "Touchpoint",
    "TouchpointError",
    "delegate",
]
