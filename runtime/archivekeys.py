"""The archive's key pairs: one per retention period and destroy-by quarter, each half a file wrapped by the root.

A key is called `<period>~<day>`, e.g. `P3Y-claims~2030-01-01`: from that day on it is to be destroyed, and nothing in
the database has a say in it. The private half is never held in memory: each use reads the file, under the write lock,
so that once it is destroyed nobody can open anything with it.

It may lie with the data protection officer instead. What they are given is sealed under a half that stays here: their
file alone opens nothing, nor does the ring alone, and destroying the half here ends every copy of their file as well.

A pair ends by a mark, `<name>.ended`, and is then erased. Whoever is killed between the two leaves a pair that nobody
opens anything with and that `unfinished` names: only once `destroy` has returned is it gone.
"""

import re
import secrets
from collections.abc import Mapping
from os.path import exists
from pathlib import Path
from urllib.parse import quote, unquote

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey
from nacl.secret import SecretBox

from protocol import canonical
from runtime import crash, keyfiles
from runtime.root import Root

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(~[0-9]{4}-[0-9]{2}-[0-9]{2})?")


class KeyGone(Exception):  # noqa: N818 - a state of the key, which callers expect
    """The key was destroyed, or is not here (an archive key that lies with the data protection officer)."""

    code = "key_gone"


class ArchiveKeys:
    """The key pairs in the key-ring's directory `archive/`; safe for threads and processes."""

    def __init__(self, directory: Path, root: Root, org: str) -> None:
        """`directory` is the key-ring's."""
        self._directory, self._lock = directory / "archive", directory / "ring.lock"
        self._root, self._org = root, org
        self._publics: dict[
            str, tuple[Path, tuple[int, int, int], bytes]
        ] = {}  # as read from a file, which is known by that

    def public(self, name: str) -> bytes:
        """The 32-byte X25519 public key, the pair made at first use. Raises KeyGone after its end, ValueError."""
        if self.ended(name):
            raise KeyGone(f"the archive key {name} has ended")
        known = self._publics.get(name)
        path = self._path(name, "public") if known is None else known[0]
        try:
            found = path.stat()
        except FileNotFoundError:
            with keyfiles.locked(self._lock):
                if not path.exists() and not self.ended(name):
                    self._make(name)
        else:
            if known is not None and known[1] == (found.st_ino, found.st_mtime_ns, found.st_size):
                return known[2]
        try:
            found = path.stat()
            # Wrapped too: a public key that somebody swapped would turn the archive into his.
            public = self._root.unwrap(path.read_bytes(), self._context("archive-public", name))
        except FileNotFoundError as error:
            raise KeyGone(f"the archive key {name} has ended") from error
        self._publics[name] = (path, (found.st_ino, found.st_mtime_ns, found.st_size), public)
        return public

    def private(self, name: str) -> PrivateKey:
        """The private half. Raises KeyGone when the pair has ended, erased or not, or it lies with the officer."""
        data = None if self.ended(name) else keyfiles.read(self._path(name, "key"))
        if data is None:
            raise KeyGone(f"the private half of {name} is not here")
        return PrivateKey(self._root.unwrap(data, self._context("archive", name)))

    def names(self) -> tuple[str, ...]:
        """Every key pair that has not ended, by name."""
        return tuple(sorted(name for name, kinds in self._here().items() if "public" in kinds and "ended" not in kinds))

    def unfinished(self) -> tuple[str, ...]:
        """The pairs that have ended and are not erased: who destroyed them was killed, or the disk failed."""
        return tuple(sorted(name for name, kinds in self._here().items() if "ended" in kinds and len(kinds) > 1))

    def ended(self, name: str) -> bool:
        """Whether the pair is over for good. That it is erased too, only `destroy` says."""
        return exists(self._path(name, "ended"))

    def why(self, name: str) -> bytes:
        """What was said as an ended pair was destroyed first. Raises FileNotFoundError while it lives."""
        return self._path(name, "ended").read_bytes()

    def at_hand(self, name: str) -> bool:
        """Whether the private half is here."""
        return self._path(name, "key").exists()

    def away(self, name: str) -> bool:
        """Whether the private half lies with the officer."""
        return self._path(name, "away").exists() and not self.at_hand(name)

    def take_out(self, name: str) -> bytes:
        """What the officer is to keep; `removed` ends the copy here. Until then nothing has changed.

        Raises KeyGone when the private half is not here.
        """
        with keyfiles.locked(self._lock):
            private = bytes(self.private(name))
            half = secrets.token_bytes(SecretBox.KEY_SIZE)
            keyfiles.write(self._path(name, "away"), self._root.wrap(half, self._context("archive-half", name)))
            return bytes(SecretBox(half).encrypt(private))

    def removed(self, name: str) -> None:
        """Destroy the private half here, once what `take_out` gave rests safely elsewhere. ValueError else."""
        with keyfiles.locked(self._lock):
            if not self._path(name, "away").exists():
                raise ValueError("the officer has nothing of this key")
            keyfiles.destroy(self._path(name, "key"))

    def put_back(self, name: str, given: bytes) -> None:
        """Take the private half back from the officer's file.

        Raises KeyGone when it has ended or was never handed over, ValueError when this is not what was handed over.
        """
        with keyfiles.locked(self._lock):
            if self.ended(name) or not self._path(name, "away").exists():
                raise KeyGone(f"the archive key {name} has ended, or was not handed over")
            half = self._root.unwrap(self._path(name, "away").read_bytes(), self._context("archive-half", name))
            try:
                private = SecretBox(half).decrypt(given)
            except CryptoError:
                raise ValueError("this is not what was handed over last") from None
            if bytes(PrivateKey(private).public_key) != self.public(name):
                raise ValueError("this private half does not belong to the public one")
            keyfiles.write(self._path(name, "key"), self._root.wrap(private, self._context("archive", name)))

    def destroy(self, name: str, why: bytes = b"") -> None:
        """End a pair: destroy its halves, and never make them again. Idempotent; on return nothing of it is left.

        `why` rests beside it in clear, for whoever goes on after a kill; the first one counts.
        """
        with keyfiles.locked(self._lock):
            crash.point("erase.before")
            if not self.ended(name):
                keyfiles.write(self._path(name, "ended"), why)
            crash.point("erase.within")
            for kind in ("key", "away", "public"):
                keyfiles.destroy(self._path(name, kind))
            for left in self._directory.glob(f".{quote(name, safe='')}.*"):  # of a write that was killed
                keyfiles.destroy(left)
            crash.point("erase.after")

    def _make(self, name: str) -> None:
        key = PrivateKey.generate()
        keyfiles.write(self._path(name, "key"), self._root.wrap(bytes(key), self._context("archive", name)))
        public = self._root.wrap(bytes(key.public_key), self._context("archive-public", name))
        keyfiles.write(self._path(name, "public"), public)

    def _here(self) -> Mapping[str, set[str]]:
        """What there is of each pair: the kinds of its files, and of what a killed write left."""
        found: dict[str, set[str]] = {}
        for path in self._directory.glob("*"):
            name, _, kind = path.name.removeprefix(".").partition(".")
            found.setdefault(unquote(name), set()).add(kind)
        return found

    def _path(self, name: str, kind: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise ValueError("an archive key is called <period>~<day>")
        return self._directory / f"{quote(name, safe='')}.{kind}"

    def _context(self, kind: str, name: str) -> bytes:
        return canonical.jcs([self._org, kind, name])
