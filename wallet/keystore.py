"""The sealed file: everything a wallet holds, under a passphrase (Argon2id, XSalsa20-Poly1305 of libsodium).

The file says nothing in clear but how its key is derived: not even which organisations its owner deals with.
"""

import base64
import contextlib
import fcntl
import os
import secrets
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from protocol import canonical, times
from protocol.errors import EvidenceError
from wallet.errors import WalletError

WALLET, BACKUP = "fieldgrant-wallet", "fieldgrant-wallet-backup"
MIN_PASSPHRASE = 8
MAX_FILE = 64 * 1024 * 1024
LOCK_WAIT = 10.0
# a file from elsewhere may not make us work for hours or fill the memory
MAX_NOTED = 4096  # bytes of noted attempts
MAX_OPSLIMIT, MAX_MEMLIMIT = 16, 1 << 30


@dataclass(frozen=True, slots=True)
class Strength:
    """Cost of one guess: passes and bytes of memory."""

    opslimit: int
    memlimit: int


MODERATE = Strength(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)


class Keystore:
    """An open wallet file. It is locked against other processes until it is closed; use it as a context manager."""

    __slots__ = ("_kdf", "_key", "_lock", "_path", "content")

    def __init__(self, path: Path, key: bytes, kdf: Mapping[str, Any], content: dict[str, Any], lock: int) -> None:
        self._path, self._key, self._kdf, self._lock = path, key, kdf, lock
        self.content = content

    @classmethod
    def create(cls, path: Path, passphrase: str, content: dict[str, Any], *, strength: Strength = MODERATE) -> Self:
        """Make a new wallet file, mode 0600; WalletError ``wallet_exists``, ``weak_passphrase``, ``wallet_busy``."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(path)
        try:
            if path.exists():
                raise WalletError("wallet_exists", "there is a wallet here already; it is left untouched")
            kdf = _fresh_kdf(strength)
            made = cls(path, _derive(_strong(passphrase), kdf), kdf, content, lock)
            made.save()
        except BaseException:
            os.close(lock)
            raise
        return made

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Self:
        """Unseal a wallet file; WalletError ``no_wallet``, ``wrong_passphrase``, ``bad_wallet``, ``wallet_busy``."""
        if not path.is_file():
            raise WalletError("no_wallet", "there is no wallet here yet; make one with `fieldgrant wallet init`")
        lock = _locked(path)
        try:
            key, kdf, content = _unseal(path.read_bytes(), passphrase, WALLET)
        except BaseException as error:
            if isinstance(error, WalletError) and error.code == "wrong_passphrase":
                _note(path)
            os.close(lock)
            raise
        return cls(path, key, kdf, content, lock)

    def save(self) -> None:
        """Seal the content under a fresh nonce and put the file in place in one step, durably."""
        write(self._path, _seal(self.content, self._key, self._kdf, WALLET))

    def close(self) -> None:
        """Let other processes at the file."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def backup(content: dict[str, Any], path: Path, passphrase: str, *, strength: Strength = MODERATE) -> None:
    """Seal ``content`` into a backup file of its own passphrase; WalletError ``file_exists``, ``weak_passphrase``."""
    if path.exists():
        raise WalletError("file_exists", "a file of this name exists already; choose another")
    kdf = _fresh_kdf(strength)
    write(path, _seal(content, _derive(_strong(passphrase), kdf), kdf, BACKUP))


def open_backup(path: Path, passphrase: str) -> dict[str, Any]:
    """The content of a backup file; WalletError ``no_backup``, ``wrong_passphrase``, ``bad_wallet``."""
    if not path.is_file():
        raise WalletError("no_backup", "there is no such backup file")
    return _unseal(path.read_bytes(), passphrase, BACKUP)[2]


def write(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``, mode 0600: after a crash there is the old file or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def attempts(path: Path) -> tuple[str, ...]:
    """When somebody tried a wrong passphrase since this was asked last (UTC, oldest first); asking forgets them.

    Call it while the wallet is open: the lock is held.
    """
    noted = _attempts_of(path)
    try:
        lines = noted.read_text(encoding="ascii").splitlines()
        noted.unlink()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(lines)


def _attempts_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.attempts")


def _note(path: Path) -> None:
    """A line for the owner: somebody was at the wallet. What cannot be written must not hide the refusal."""
    with contextlib.suppress(OSError):
        handle = os.open(_attempts_of(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="ascii") as file:
            if file.tell() < MAX_NOTED:
                file.write(f"{times.iso(datetime.now(UTC))}\n")


def _locked(path: Path) -> int:
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        if time.monotonic() > deadline:
            os.close(handle)
            raise WalletError("wallet_busy", "another program is using this wallet; try again when it has ended")
        time.sleep(0.05)


def _strong(passphrase: str) -> str:
    if len(passphrase) < MIN_PASSPHRASE:
        raise WalletError("weak_passphrase", f"a passphrase has at least {MIN_PASSPHRASE} characters")
    return passphrase


def _fresh_kdf(strength: Strength) -> dict[str, Any]:
    salt = base64.b64encode(secrets.token_bytes(argon2id.SALTBYTES)).decode()
    return {"name": "argon2id13", "salt": salt, "opslimit": strength.opslimit, "memlimit": strength.memlimit}


def _derive(passphrase: str, kdf: Mapping[str, Any]) -> bytes:
    secret = unicodedata.normalize("NFKC", passphrase).encode()
    salt = base64.b64decode(kdf["salt"])
    return argon2id.kdf(SecretBox.KEY_SIZE, secret, salt, opslimit=kdf["opslimit"], memlimit=kdf["memlimit"])


def _seal(content: dict[str, Any], key: bytes, kdf: Mapping[str, Any], kind: str) -> bytes:
    box = SecretBox(key).encrypt(canonical.jcs(content))
    return canonical.jcs({"v": 1, "kind": kind, "kdf": dict(kdf), "box": base64.b64encode(box).decode()}) + b"\n"


def _unseal(data: bytes, passphrase: str, kind: str) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    box, kdf = _read(data, kind)
    key = _derive(passphrase, kdf)
    try:
        content = SecretBox(key).decrypt(box)
    except CryptoError:
        raise WalletError("wrong_passphrase", "the passphrase does not open this file; try it again") from None
    return key, kdf, canonical.parse(content, limit=MAX_FILE)


def _read(data: bytes, kind: str) -> tuple[bytes, dict[str, Any]]:
    bad = WalletError("bad_wallet", "this file is not a Fieldgrant wallet or backup, or it is damaged")
    try:
        file = canonical.parse(data, limit=MAX_FILE)
        kdf, box = dict(file["kdf"]), base64.b64decode(file["box"], validate=True)
        salt = base64.b64decode(kdf["salt"], validate=True)
        costs = (kdf["opslimit"], kdf["memlimit"])
    except (EvidenceError, KeyError, TypeError, ValueError):
        raise bad from None
    if file.get("v") != 1 or file.get("kind") != kind or kdf.get("name") != "argon2id13":
        raise bad
    if len(salt) != argon2id.SALTBYTES or not all(isinstance(cost, int) for cost in costs):
        raise bad
    opslimit, memlimit = costs
    if not (argon2id.OPSLIMIT_MIN <= opslimit <= MAX_OPSLIMIT and argon2id.MEMLIMIT_MIN <= memlimit <= MAX_MEMLIMIT):
        raise bad
    if len(box) < SecretBox.NONCE_SIZE + SecretBox.MACBYTES:
        raise bad
    return box, kdf
