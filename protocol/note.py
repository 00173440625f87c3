"""Signed notes and log checkpoints (C2SP signed-note, tlog-checkpoint): Ed25519, readable by others' software."""

import base64
import hashlib
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

_ED25519 = b"\x01"
_MARK = "\u2014 "
MAX_BYTES = 16384
MAX_SIGNATURES = 64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: its origin line, number of leaves and root hash (32 bytes)."""

    origin: str
    size: int
    root: bytes


def vkey(name: str, public: bytes) -> str:
    """The verifier key ``name+hash+base64`` of an Ed25519 key; EvidenceError ``bad_note`` for a bad name."""
    _check_name(name)
    return f"{name}+{_key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def sign_note(text: str, name: str, signer: Ed25519Signer) -> str:
    """``text`` (which ends in a newline) with one signature line under ``name``; EvidenceError ``bad_note``."""
    _check_name(name)
    _check_text(text)
    blob = base64.b64encode(_key_id(name, signer.public) + signer.sign(text.encode())).decode()
    return f"{text}\n{_MARK}{name} {blob}\n"


def open_note(note: str | bytes, vkey: str) -> str:
    """The note's text, if the key that ``vkey`` names signed it; signatures by unknown keys are passed over.

    Raises:
        EvidenceError: ``bad_vkey``, ``bad_note`` (malformed, not signed by this key, or falsely so).
    """
    name, key_id, key = _parse_vkey(vkey)
    text, lines = _split(note)
    found = False
    for line in lines:
        signer, blob = _signature(line)
        if signer != name or blob[:4] != key_id:
            continue
        try:
            key.verify(text.encode(), blob[4:])
        except (BadSignatureError, ValueError) as error:
            raise EvidenceError("bad_note", "the note's signature is false") from error
        found = True
    if not found:
        raise EvidenceError("bad_note", "the note is not signed by the key expected")
    return text


def checkpoint(origin: str, size: int, root: bytes) -> str:
    """The text of a checkpoint, to be signed as a note."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of an opened checkpoint; extension lines are allowed; EvidenceError ``bad_checkpoint``."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise EvidenceError("bad_checkpoint", "a checkpoint has an origin, a size and a root")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdigit()) or (size[0] == "0" and size != "0") or len(size) > 19:
        raise EvidenceError("bad_checkpoint", "the size is not a whole number")
    decoded = _base64(root, "bad_checkpoint")
    if len(decoded) != hashlib.sha256().digest_size:
        raise EvidenceError("bad_checkpoint", "the root is not a SHA-256")
    return Checkpoint(origin, int(size), decoded)


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() for c in name):
        raise EvidenceError("bad_note", "a key's name has no spaces and no plus")


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(ord(c) < 0x20 and c != "\n" for c in text):
        raise EvidenceError("bad_note", "a note's text ends in a newline and has no control characters")


def _parse_vkey(vkey: str) -> tuple[str, bytes, VerifyKey]:
    name, _, rest = vkey.strip().partition("+")
    hash_, _, key = rest.partition("+")
    raw = _base64(key, "bad_vkey")
    if len(raw) != 33 or raw[:1] != _ED25519:
        raise EvidenceError("bad_vkey", "only Ed25519 verifier keys are known")
    _check_name(name)
    if _key_id(name, raw[1:]).hex() != hash_:
        raise EvidenceError("bad_vkey", "the verifier key's hash does not fit its name and key")
    return name, _key_id(name, raw[1:]), VerifyKey(raw[1:])


def _split(note: str | bytes) -> tuple[str, list[str]]:
    try:
        whole = note.decode() if isinstance(note, bytes) else note
        size = len(whole.encode())
    except UnicodeError as error:
        raise EvidenceError("bad_note", "the note is not UTF-8") from error
    if size > MAX_BYTES:
        raise EvidenceError("bad_note", "the note is too long")
    text, separator, signatures = whole.rpartition("\n\n")
    lines = signatures.split("\n")
    if not separator or lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise EvidenceError("bad_note", "the note has no signature lines")
    text += "\n"
    _check_text(text)
    return text, lines


def _signature(line: str) -> tuple[str, bytes]:
    name, space, blob = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not space or not name:
        raise EvidenceError("bad_note", "a signature line is malformed")
    raw = _base64(blob, "bad_note")
    if len(raw) < 5:
        raise EvidenceError("bad_note", "a signature is too short")
    return name, raw


def _base64(text: str, code: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise EvidenceError(code, "not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise EvidenceError(code, "not canonical base64")
    return raw
