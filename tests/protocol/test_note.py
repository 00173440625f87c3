"""Signed notes, with a vector that Go's own golang.org/x/mod/sumdb/note documents."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import note
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

# The example in the documentation of golang.org/x/mod/sumdb/note
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_NOTE = PETER_TEXT + (
    "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = Ed25519Signer(b"\x07" * 32)
VKEY = note.vkey("log.example/x", SIGNER.public)


def test_the_known_note_opens_and_is_signed_to_the_byte() -> None:
    assert note.open_note(PETER_NOTE, PETER_VKEY) == PETER_TEXT
    assert note.open_note(PETER_NOTE.encode(), PETER_VKEY + "\n") == PETER_TEXT
    signer = Ed25519Signer(base64.b64decode(PETER_SKEY.split("+", 4)[4])[1:])
    assert note.vkey("PeterNeumann", signer.public) == PETER_VKEY
    assert note.sign_note(PETER_TEXT, "PeterNeumann", signer) == PETER_NOTE


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
def test_notes_open_again(line: str) -> None:
    text = f"{line}\n"
    assert note.open_note(note.sign_note(text, "log.example/x", SIGNER), VKEY) == text


def test_other_signatures_are_passed_over_but_ours_must_be_there() -> None:
    mine = note.sign_note("a\n", "log.example/x", SIGNER)
    witness = note.sign_note("a\n", "witness", Ed25519Signer(b"\x08" * 32))
    both = mine + witness.split("\n\n")[1]
    assert note.open_note(both, VKEY) == "a\n"
    with pytest.raises(EvidenceError):
        note.open_note(witness, VKEY)
    impostor = note.sign_note("a\n", "log.example/x", Ed25519Signer(b"\x08" * 32))
    with pytest.raises(EvidenceError):
        note.open_note(impostor, VKEY)


def test_a_changed_text_or_signature_is_refused() -> None:
    for changed in (PETER_NOTE.replace("answer", "Answer"), PETER_NOTE.replace("ZJku", "ZJkv")):
        with pytest.raises(EvidenceError) as caught:
            note.open_note(changed, PETER_VKEY)
        assert caught.value.code == "bad_note"


@pytest.mark.parametrize(
    "broken",
    [
        b"\xff\n\n",
        "",
        "text\n",
        "text\n\n",
        "text\n\nno dash x AAAA\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name A===\n",
        "text\n\n— name x08go/ZJ",
        "te\x00xt\n\n— PeterNeumann x08go/ZJ\n",
        "x" * 20000,
        "lone \ud800\n\n— a AAAAAAAA\n",
        "text\n\n" + "— name x08go/ZJ\n" * 65,
    ],
)
def test_what_is_no_note_is_refused(broken: str | bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        note.open_note(broken, PETER_VKEY)
    assert caught.value.code == "bad_note"


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000+AAAA",
        PETER_VKEY.replace("c74f", "c74e"),
        PETER_VKEY.replace("+ARpc", "+AhpC"),
        "n+1+!",
    ],
)
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        note.open_note(PETER_NOTE, vkey)
    assert caught.value.code == "bad_vkey"


def test_names_and_texts_that_cannot_be_signed_are_refused() -> None:
    for text, name in (("no newline", "a"), ("tab\t\n", "a"), ("a\n", "a b"), ("a\n", "a+b"), ("a\n", "")):
        with pytest.raises(EvidenceError):
            note.sign_note(text, name, SIGNER)


def test_checkpoints_read_back() -> None:
    text = note.checkpoint("log.example/x", 7, bytes(range(32)))
    read = note.parse_checkpoint(text)
    assert (read.origin, read.size, read.root) == ("log.example/x", 7, bytes(range(32)))
    assert note.parse_checkpoint(text + "extension\n").size == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n-1\nAAAA\n",
        "a\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n1\nAAAA\n",
        "a\n1\n!!\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n1\n" + base64.b64encode(bytes(32)).decode(),
        "a\n" + "9" * 20 + "\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        note.parse_checkpoint(text)
    assert caught.value.code == "bad_checkpoint"
