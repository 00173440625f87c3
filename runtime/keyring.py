"""The key-ring: secrets, signing keys, bucket keys by epoch and archive keys, each wrapped by the root in its own file."""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.public import PrivateKey
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.keys import Ed25519Signer

from runtime.root import Root

BUCKETS = 256


class KeyGone(Exception):
    """The key was destroyed, or was never here (an archive key that lies with the data protection officer)."""


class RingError(Exception):
    """The key-ring cannot be used. Codes: ring_missing, ring_exists, wrong_root, ring_broken."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def bucket_of(subject: SubjectId) -> int:
    """The bucket (0..255) that a subject's data key is wrapped in."""
    raise NotImplementedError


class KeyRing:
    """Keys of one organisation in one directory, shared by processes. Bucket keys are held unwrapped in memory."""

    org: str

    @classmethod
    def create(cls, directory: Path, root: Root, org: str) -> "KeyRing":
        """Make an empty ring. Raises RingError(ring_exists)."""
        raise NotImplementedError

    @classmethod
    def open(cls, directory: Path, root: Root) -> "KeyRing":
        """Open a ring. Raises RingError(ring_missing, wrong_root)."""
        raise NotImplementedError

    def close(self) -> None:
        """Drop every unwrapped key and end the registration as opener."""
        raise NotImplementedError

    def secret(self, name: str) -> bytes:
        """32 random bytes of that name, made at first use. Raises RingError, RootError."""
        raise NotImplementedError

    def signer(self, name: str, *, did: Did | None = None, verification_method: str | None = None) -> Ed25519Signer:
        """The signing key of that name, made at first use; its DID is its did:key unless another is given."""
        raise NotImplementedError

    def current(self, bucket: int) -> tuple[int, AESGCM]:
        """The newest epoch of a bucket and its key: what new data keys are wrapped with. Epoch 1 is made at first use."""
        raise NotImplementedError

    def opener(self, bucket: int, epoch: int) -> AESGCM:
        """The key of one epoch. Raises KeyGone when it was destroyed."""
        raise NotImplementedError

    def warm(self, buckets: Iterable[int] = range(BUCKETS)) -> None:
        """Unwrap all existing epochs of these buckets in one call to the root, so that no row waits for it."""
        raise NotImplementedError

    def epochs(self, bucket: int) -> tuple[int, ...]:
        """The epochs whose key exists, rising. More than one: a rotation is pending."""
        raise NotImplementedError

    def begin_rotation(self, bucket: int) -> int:
        """Make the next epoch and return it; while one is pending, return that one."""
        raise NotImplementedError

    def destroy(self, bucket: int, epoch: int) -> None:
        """Overwrite and unlink an epoch's key, durably. Idempotent. ValueError for the newest epoch."""
        raise NotImplementedError

    def dropped(self, bucket: int, epoch: int) -> bool:
        """True once the key is destroyed and every process that opens has confirmed dropping it, or has ended."""
        raise NotImplementedError

    def archive_public(self, period: str) -> bytes:
        """The 32-byte X25519 public key of a retention period, made at first use. Raises KeyGone after its end."""
        raise NotImplementedError

    def archive_private(self, period: str) -> PrivateKey:
        """The private half. Raises KeyGone when it was destroyed or lies elsewhere."""
        raise NotImplementedError

    def destroy_period(self, period: str) -> None:
        """End a retention period: destroy its private key. Idempotent."""
        raise NotImplementedError
