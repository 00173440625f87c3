"""The key-ring: secrets, signing keys, bucket keys by epoch, archive keys; each in a file, wrapped by the root."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Hashable, Iterable
from os import listdir
from os.path import exists
from pathlib import Path
from urllib.parse import quote, unquote

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol import canonical
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.keys import Ed25519Signer
from runtime import keyfiles, openers
from runtime.archivekeys import ArchiveKeys, KeyGone
from runtime.root import Root, RootError

__all__ = ["BUCKETS", "KeyGone", "KeyRing", "RingError", "bucket_of"]

BUCKETS = 256
_CHECK = b"fieldgrant key-ring"
_KEY = ".key"
_TOGETHER = 16  # buckets whose keys lie in one directory: many keys made or destroyed at once share its fsync


class RingError(Exception):
    """The key-ring cannot be used. Codes: ring_missing, ring_exists, ring_broken, wrong_root."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def bucket_of(subject: SubjectId) -> int:
    """The bucket (0..255) that a subject's data key is wrapped in."""
    return hashlib.sha256(subject.encode()).digest()[0]


class KeyRing:
    """Keys of one organisation in one directory, shared by processes. Bucket keys are held unwrapped in memory.

    Layout: `ring.json`, `ring.lock`, `secrets/`, `signers/`, `buckets/<bucket // 16>/<bucket>-<epoch>.key`, `archive/`,
    `openers/`. Each key has a file of its own: to destroy it is to overwrite and to unlink that file.
    Do not fork a process that has one open; start a new one.
    """

    def __init__(self, directory: Path, root: Root, org: str) -> None:
        """Use `create` or `open`."""
        self.org = org
        self._directory, self._root = directory, root
        self._buckets = str(directory / "buckets")
        self._mutex = threading.RLock()
        self._last: dict[int, int] = {}  # by bucket: its newest epoch as we saw it last
        self._secrets: dict[tuple[str, str], bytes] = {}
        self._held: dict[openers.Held, AESGCM] = {}
        self._unwrapped: dict[openers.Held, dict[Hashable, AESGCM]] = {}
        self._opener: openers.Opener | None = None
        self.archive = ArchiveKeys(directory, root, org)

    @classmethod
    def create(cls, directory: Path, root: Root, org: str) -> "KeyRing":
        """Make an empty ring. Raises RingError(ring_exists), RootError."""
        keyfiles.make_directory(directory)
        if (directory / "ring.json").exists():
            raise RingError("ring_exists", "there is a key-ring in that directory already")
        for name in ("secrets", "signers", "buckets", "archive", "openers"):
            keyfiles.make_directory(directory / name)
        for place in range(BUCKETS // _TOGETHER):
            keyfiles.make_directory(directory / "buckets" / f"{place:02d}")
        keyfiles.sync_directory(directory / "buckets")
        check = root.wrap(_CHECK, _context(org, "ring"))
        keyfiles.write(directory / "ring.json", orjson.dumps({"v": 1, "org": org, "check": check.hex()}))
        return cls(directory, root, org)

    @classmethod
    def open(cls, directory: Path, root: Root) -> "KeyRing":
        """Open a ring. Raises RingError(ring_missing, ring_broken, wrong_root), RootError(root_unavailable)."""
        try:
            ring = orjson.loads((directory / "ring.json").read_bytes())
            org, check = str(ring["org"]), bytes.fromhex(ring["check"])
        except FileNotFoundError as error:
            raise RingError("ring_missing", "there is no key-ring in that directory") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RingError("ring_broken", "the key-ring's description is unreadable") from error
        try:
            fits = root.unwrap(check, _context(org, "ring")) == _CHECK
        except RootError as error:
            if error.code == "root_unavailable":
                raise
            fits = False
        if not fits:
            raise RingError("wrong_root", "this key-ring was wrapped by another root")
        return cls(directory, root, org)

    def close(self) -> None:
        """Drop every unwrapped key and end the registration as opener."""
        with self._mutex:
            self._held.clear()
            self._unwrapped.clear()
            self._secrets.clear()
            opener, self._opener = self._opener, None
        if opener is not None:  # outside the mutex: its thread may be waiting for it
            opener.close()

    # -- secrets and signing keys

    def secret(self, name: str) -> bytes:
        """32 random bytes of that name, made at first use. Raises RootError."""
        return self._secret("secrets", name)

    def signer(self, name: str, *, did: Did | None = None, verification_method: str | None = None) -> Ed25519Signer:
        """The signing key of that name, made at first use; its DID is its did:key unless another is given."""
        return Ed25519Signer(self._secret("signers", name), did=did, verification_method=verification_method)

    def signers(self) -> tuple[str, ...]:
        """The names of the signing keys that were made so far."""
        return tuple(sorted(unquote(path.stem) for path in (self._directory / "signers").glob("*.key")))

    def _secret(self, kind: str, name: str) -> bytes:
        known = self._secrets.get((kind, name))
        if known is None:
            path = self._directory / kind / f"{quote(name, safe='')}.key"
            known = self._load(path, _context(self.org, kind, name), make=lambda: secrets.token_bytes(32))
            self._secrets[kind, name] = known
        return known

    def _load(self, path: Path, context: bytes, *, make: Callable[[], bytes] | None = None) -> bytes:
        """Unwrap a file; if it is missing, `make` its content under the ring's lock, or raise FileNotFoundError."""
        try:
            return self._root.unwrap(path.read_bytes(), context)
        except FileNotFoundError:
            if make is None:
                raise
        with keyfiles.locked(self._directory / "ring.lock"):
            if not path.exists():
                keyfiles.write(path, self._root.wrap(make(), context))
        return self._root.unwrap(path.read_bytes(), context)

    # -- bucket keys

    def current(self, bucket: int) -> tuple[int, AESGCM]:
        """The newest epoch of a bucket and its key, which wraps new data keys. Epoch 1 is made at first use."""
        while True:
            epoch = self._newest(bucket) or self._make_epoch(bucket, after=0)
            try:
                return epoch, self.opener(bucket, epoch)
            except KeyGone:
                continue  # rotated and destroyed between the two looks: there is a newer one

    def _newest(self, bucket: int) -> int:
        """The newest epoch, 0 before the first. Epochs follow each other: to look for the next one is less than to
        list all of them, and this is asked for every record that is written.
        """
        known = self._last.get(bucket, 0)
        if not known or exists(self._file(bucket, known + 1)) or not exists(self._file(bucket, known)):
            known = self._last[bucket] = max(self.epochs(bucket), default=0)
        return known

    def opener(self, bucket: int, epoch: int) -> AESGCM:
        """The key of one epoch. Raises KeyGone when it was destroyed, RootError."""
        held = self._held.get((bucket, epoch))
        if held is not None:
            return held
        with self._mutex:
            self._take([(bucket, epoch)])
            held = self._held.get((bucket, epoch))
        if held is None:
            raise KeyGone(f"bucket {bucket} has no key of epoch {epoch}")
        return held

    def unwrapped(self, bucket: int, epoch: int) -> dict[Hashable, AESGCM]:
        """What was unwrapped with the key of one epoch, to look into and to add to: it is dropped with that key.

        Raises as `opener`.
        """
        place = (bucket, epoch)
        self.opener(bucket, epoch)
        known = self._unwrapped.get(place)
        if known is None:
            known = self._unwrapped.setdefault(place, {})
        if place not in self._held:  # dropped between the two looks: what is added here, nobody finds
            self._unwrapped.pop(place, None)
        return known

    def warm(self, buckets: Iterable[int] = range(BUCKETS)) -> None:
        """Unwrap all existing epochs of these buckets in one call to the root, so that no row waits for it."""
        with self._mutex:
            self._take([(bucket, epoch) for bucket in buckets for epoch in self.epochs(bucket)])

    def _take(self, keys: Iterable[openers.Held]) -> None:
        """Load what exists of these. Publishes before it reads: see `openers`. The mutex must be held."""
        wanted = [key for key in keys if key not in self._held]
        if not wanted:
            return
        if self._opener is None:
            self._opener = openers.Opener(self._directory / "openers", self._sweep)
        self._opener.publish([*self._held, *wanted])
        found = [(key, data) for key in wanted if (data := keyfiles.read(self._path(*key))) is not None]
        items = [(data, _context(self.org, "bucket", bucket, epoch)) for (bucket, epoch), data in found]
        opened = self._root.unwrap_all(items) if items else []
        self._held.update((key, AESGCM(data)) for (key, _), data in zip(found, opened, strict=True))
        if len(found) < len(wanted):
            self._opener.publish(self._held)

    def _sweep(self) -> None:
        """Drop the keys whose file is gone, then say so."""
        with self._mutex:
            # no Path for each: there may be some hundred, 7 times a second
            gone = [key for key in self._held if not exists(self._file(*key))]
            for key in gone:
                del self._held[key]
                self._unwrapped.pop(key, None)
            if self._opener is not None:
                self._opener.publish(self._held)

    def epochs(self, bucket: int) -> tuple[int, ...]:
        """The epochs whose key exists, rising. More than one: a rotation is pending."""
        if not 0 <= bucket < BUCKETS:
            raise ValueError("a bucket is 0..255")
        try:
            names = listdir(f"{self._buckets}/{bucket // _TOGETHER:02d}")  # no Path for each: it is asked for every row
        except FileNotFoundError:
            return ()
        own = f"{bucket:03d}-"
        stems = (name[len(own) : -len(_KEY)] for name in names if name.startswith(own) and name.endswith(_KEY))
        return tuple(sorted(int(stem) for stem in stems if stem.isdigit()))

    def begin_rotation(self, bucket: int) -> int:
        """Make the next epoch and return it; while one is pending, return that one.

        A pending rotation serves two shreds only if both dropped their old data keys before it rewraps.
        """
        return self.begin_rotations([bucket])[bucket]

    def begin_rotations(self, buckets: Iterable[int]) -> dict[int, int]:
        """The same for some buckets at once, by bucket."""
        with keyfiles.locked(self._directory / "ring.lock"):
            begun, made = {}, {}
            for bucket in buckets:
                known = self.epochs(bucket)
                if len(known) > 1:
                    begun[bucket] = known[-1]
                    continue
                first = known[-1] if known else 1
                if not known:
                    made[self._path(bucket, 1)] = self._new_key(bucket, 1)
                begun[bucket] = first + 1
                made[self._path(bucket, first + 1)] = self._new_key(bucket, first + 1)
            for directory in {path.parent for path in made if not path.parent.exists()}:
                keyfiles.make_directory(directory)
                keyfiles.sync_directory(directory.parent)
            keyfiles.write_all(made)
        return begun

    def _new_key(self, bucket: int, epoch: int) -> bytes:
        return self._root.wrap(AESGCM.generate_key(256), _context(self.org, "bucket", bucket, epoch))

    def _make_epoch(self, bucket: int, *, after: int) -> int:
        """Make epoch `after` + 1, unless somebody else has; the newest epoch there is then."""
        with keyfiles.locked(self._directory / "ring.lock"):
            known = self.epochs(bucket)
            if known and known[-1] > after:
                return known[-1]
            path = self._path(bucket, after + 1)
            keyfiles.make_directory(path.parent)
            keyfiles.sync_directory(path.parent.parent)
            keyfiles.write(path, self._new_key(bucket, after + 1))
            return after + 1

    def erased(self, bucket: int, epoch: int) -> bool:
        """Whether the key is gone, or was overwritten by somebody who was stopped. The root is not asked."""
        return keyfiles.read(self._path(bucket, epoch)) is None

    def destroy(self, bucket: int, epoch: int) -> None:
        """Overwrite and unlink an epoch's key, durably. Idempotent. ValueError for the newest epoch."""
        self.destroy_all([(bucket, epoch)])

    def destroy_all(self, keys: Iterable[openers.Held]) -> None:
        """The same for some (bucket, epoch) at once. ValueError when one is the newest: then none is destroyed."""
        with keyfiles.locked(self._directory / "ring.lock"):
            wanted = list(keys)
            newest = {bucket: self.epochs(bucket) for bucket, _ in wanted}
            for bucket, epoch in wanted:
                known = newest[bucket]
                if not known or epoch >= known[-1]:
                    raise ValueError("the newest epoch of a bucket cannot be destroyed: rotate first")
            keyfiles.destroy_all([self._path(*key) for key in wanted])
        with self._mutex:
            for key in wanted:
                self._held.pop(key, None)
                self._unwrapped.pop(key, None)
            if self._opener is not None:
                self._opener.publish(self._held)

    def dropped(self, bucket: int, epoch: int) -> bool:
        """True once the key is destroyed and every process that opens has confirmed dropping it, or has ended."""
        return bool(self.dropped_of([(bucket, epoch)]))

    def dropped_of(self, keys: Iterable[openers.Held]) -> frozenset[openers.Held]:
        """Those of the (bucket, epoch) of which that is true, with one look at who opens."""
        gone = frozenset(key for key in keys if not exists(self._file(*key)))
        return gone - openers.held(self._directory / "openers", gone) if gone else gone

    def _path(self, bucket: int, epoch: int) -> Path:
        return Path(self._file(bucket, epoch))

    def _file(self, bucket: int, epoch: int) -> str:
        return f"{self._buckets}/{bucket // _TOGETHER:02d}/{bucket:03d}-{epoch}{_KEY}"


def _context(*parts: str | int) -> bytes:
    return canonical.jcs(list(parts))
