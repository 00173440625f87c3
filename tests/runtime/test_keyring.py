import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from nacl.public import PublicKey, SealedBox

from protocol.consent import SubjectId
from protocol.did import Did
from runtime import keyfiles
from runtime.keyring import KeyGone, KeyRing, RingError, bucket_of
from runtime.root import FileRoot, RootError

ORG = "did:web:example.com"


@pytest.fixture
def root(tmp_path: Path) -> FileRoot:
    return FileRoot.create(tmp_path / "keys" / "root.key")


@pytest.fixture
def ring(tmp_path: Path, root: FileRoot) -> KeyRing:
    return KeyRing.create(tmp_path / "keys", root, ORG)


def again(ring: KeyRing, root: FileRoot) -> KeyRing:
    return KeyRing.open(ring._directory, root)


def test_secrets_and_signers_are_made_once_and_stay(ring: KeyRing, root: FileRoot) -> None:
    other = again(ring, root)
    assert ring.secret("cursor") == other.secret("cursor") != ring.secret("session")
    assert ring.signer("staff/mei").public == other.signer("staff/mei").public
    assert len(ring.secret("cursor")) == 32


def test_a_signer_takes_the_did_that_it_is_given(ring: KeyRing) -> None:
    signer = ring.signer("controller", did=Did(ORG), verification_method=f"{ORG}#key-1")
    assert (signer.did, signer.verification_method) == (ORG, f"{ORG}#key-1")


def test_a_name_cannot_leave_its_directory(ring: KeyRing) -> None:
    ring.secret("../../outside")
    assert sorted(path.name for path in (ring._directory / "secrets").iterdir()) == ["..%2F..%2Foutside.key"]


def test_many_threads_and_processes_make_one_and_the_same_key(ring: KeyRing, root: FileRoot) -> None:
    code = (
        "import sys; from pathlib import Path; from runtime.root import FileRoot; from runtime.keyring import KeyRing;"
        "d = Path(sys.argv[1]); r = KeyRing.open(d, FileRoot(d / 'root.key'));"
        "n = bytes(12); print(r.secret('one').hex(), r.current(7)[0], r.current(7)[1].encrypt(n, b'', None).hex())"
    )
    command = [sys.executable, "-c", code, str(ring._directory)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    seen: set[str] = set()

    def make() -> None:
        mine = again(ring, root)
        epoch, key = mine.current(7)
        seen.add(f"{mine.secret('one').hex()} {epoch} {key.encrypt(bytes(12), b'', None).hex()}")
        mine.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        seen.add(process.communicate(timeout=60)[0].strip())
    assert len(seen) == 1


def test_files_are_for_their_owner_only_and_hold_no_key_in_clear(ring: KeyRing) -> None:
    secret = ring.secret("cursor")
    ring.current(0)
    for path in ring._directory.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.is_dir() or secret not in path.read_bytes()


def test_a_file_moved_to_another_name_does_not_unwrap(ring: KeyRing, root: FileRoot) -> None:
    ring.secret("cursor")
    (ring._directory / "secrets" / "cursor.key").rename(ring._directory / "secrets" / "other.key")
    with pytest.raises(RootError) as caught:
        again(ring, root).secret("other")
    assert caught.value.code == "bad_wrapping"


def test_another_root_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    with pytest.raises(RingError) as caught:
        KeyRing.open(ring._directory, FileRoot.create(tmp_path / "other" / "root.key"))
    assert caught.value.code == "wrong_root"


def test_a_missing_an_existing_and_a_broken_ring_each_have_their_code(
    ring: KeyRing, root: FileRoot, tmp_path: Path
) -> None:
    with pytest.raises(RingError) as caught:
        KeyRing.create(ring._directory, root, ORG)
    assert caught.value.code == "ring_exists"
    with pytest.raises(RingError) as caught:
        KeyRing.open(tmp_path / "nowhere", root)
    assert caught.value.code == "ring_missing"
    (ring._directory / "ring.json").write_text("{}")
    with pytest.raises(RingError) as caught:
        again(ring, root)
    assert caught.value.code == "ring_broken"


def test_buckets_are_spread_and_stable() -> None:
    subjects = [SubjectId(f"sub_{number:026d}") for number in range(4000)]
    assert {bucket_of(subject) for subject in subjects} == set(range(256))
    assert bucket_of(subjects[0]) == bucket_of(subjects[0])


def test_a_bucket_begins_at_epoch_one(ring: KeyRing) -> None:
    assert ring.epochs(9) == ()
    assert ring.current(9)[0] == 1
    assert ring.epochs(9) == (1,)


def test_a_bucket_out_of_range_is_refused(ring: KeyRing) -> None:
    with pytest.raises(ValueError, match="255"):
        ring.epochs(256)


def test_a_rotation_is_begun_once_while_it_is_pending(ring: KeyRing) -> None:
    ring.current(9)
    assert ring.begin_rotation(9) == 2
    assert ring.begin_rotation(9) == 2
    assert ring.epochs(9) == (1, 2)
    assert ring.current(9)[0] == 2
    ring.destroy(9, 1)
    assert ring.begin_rotation(9) == 3


def test_a_rotation_of_an_unused_bucket_makes_both_epochs(ring: KeyRing) -> None:
    assert ring.begin_rotation(9) == 2


def test_a_destroyed_epoch_opens_nothing_and_its_file_is_gone(ring: KeyRing, root: FileRoot) -> None:
    _, old = ring.current(9)
    sealed = old.encrypt(bytes(12), b"value", None)
    new = ring.begin_rotation(9)
    ring.destroy(9, 1)
    with pytest.raises(KeyGone):
        ring.opener(9, 1)
    with pytest.raises(KeyGone):
        again(ring, root).opener(9, 1)
    with pytest.raises(InvalidTag):
        ring.opener(9, new).decrypt(bytes(12), sealed, None)
    ring.destroy(9, 1)
    assert ring.dropped(9, 1)


def test_the_newest_epoch_cannot_be_destroyed(ring: KeyRing) -> None:
    ring.current(9)
    with pytest.raises(ValueError, match="rotate"):
        ring.destroy(9, 1)
    with pytest.raises(ValueError, match="rotate"):
        ring.destroy(10, 1)


def test_a_key_is_overwritten_before_it_is_unlinked(tmp_path: Path) -> None:
    keyfiles.write(tmp_path / "key", b"k" * 60)
    (tmp_path / "second-name").hardlink_to(tmp_path / "key")
    keyfiles.destroy(tmp_path / "key")
    assert not (tmp_path / "key").exists()
    assert len(left := (tmp_path / "second-name").read_bytes()) == 60
    assert left != b"k" * 60


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyfiles.write(tmp_path / "key", b"old")

    def broken(_: int) -> None:
        raise OSError("disk")

    monkeypatch.setattr("runtime.keyfiles.os.fsync", broken)
    with pytest.raises(OSError, match="disk"):
        keyfiles.write(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_archive_is_sealed_to_a_public_key_and_opened_by_the_private(ring: KeyRing, root: FileRoot) -> None:
    public = ring.archive.public("P3Y-tax")
    assert again(ring, root).archive.public("P3Y-tax") == public
    box = SealedBox(PublicKey(public)).encrypt(b"value")
    assert SealedBox(again(ring, root).archive.private("P3Y-tax")).decrypt(box) == b"value"


def test_a_period_that_ended_never_comes_back(ring: KeyRing, root: FileRoot) -> None:
    ring.archive.public("P3Y-tax")
    ring.archive.destroy("P3Y-tax")
    ring.archive.destroy("P3Y-tax")
    for mine in (ring, again(ring, root)):
        with pytest.raises(KeyGone):
            mine.archive.private("P3Y-tax")
        with pytest.raises(KeyGone):
            mine.archive.public("P3Y-tax")


def test_a_pair_that_is_over_and_not_erased_opens_nothing_and_is_named(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring.archive.public("P3Y-tax")

    def failing(_: Path) -> None:
        raise OSError("input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(keyfiles, "destroy", failing)
        with pytest.raises(OSError, match="input/output"):
            ring.archive.destroy("P3Y-tax", b"why")
    assert (ring.archive.names(), ring.archive.unfinished()) == ((), ("P3Y-tax",))
    for refused in (ring.archive.private, ring.archive.public, ring.archive.take_out):
        with pytest.raises(KeyGone):
            refused("P3Y-tax")
    ring.archive.destroy("P3Y-tax", b"another")
    assert (ring.archive.unfinished(), ring.archive.why("P3Y-tax")) == ((), b"why")


def test_what_a_killed_write_left_of_a_pair_ends_with_it(ring: KeyRing) -> None:
    directory = ring._directory / "archive"
    for name in ("P3Y-tax", "P3Y-tax-old"):
        ring.archive.public(name)
        (directory / f".{name}.key.0123456789abcdef").write_bytes((directory / f"{name}.key").read_bytes())
    ring.archive.destroy("P3Y-tax")
    assert sorted(path.name for path in directory.iterdir()) == [
        ".P3Y-tax-old.key.0123456789abcdef", "P3Y-tax-old.key", "P3Y-tax-old.public", "P3Y-tax.ended",
    ]  # fmt: skip


def test_a_private_half_that_was_being_erased_is_gone(ring: KeyRing) -> None:
    ring.archive.public("P3Y-tax")
    path = ring._directory / "archive" / "P3Y-tax.key"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(KeyGone):
        ring.archive.private("P3Y-tax")


def test_an_archive_key_that_lies_elsewhere_still_seals(ring: KeyRing) -> None:
    public = ring.archive.public("P3Y-tax")
    (ring._directory / "archive" / "P3Y-tax.key").unlink()
    assert ring.archive.public("P3Y-tax") == public
    with pytest.raises(KeyGone):
        ring.archive.private("P3Y-tax")


def test_a_swapped_archive_public_key_is_refused(ring: KeyRing) -> None:
    ring.archive.public("P3Y-tax")
    (ring._directory / "archive" / "P3Y-tax.public").write_bytes(b"\0" * 60)
    with pytest.raises(RootError):
        ring.archive.public("P3Y-tax")


def test_a_key_whose_destruction_was_cut_off_is_gone_and_its_destruction_is_completed(tmp_path: Path) -> None:
    """Killed between the overwriting and the unlinking: nobody opens with it, nothing fails on it."""
    made = KeyRing.create(tmp_path / "cut", FileRoot.create(tmp_path / "cut.key"), "did:web:localhost")
    made.current(7)
    made.begin_rotation(7)
    made.close()
    place = tmp_path / "cut" / "buckets" / "00" / "007-1.key"
    place.write_bytes(bytes(place.stat().st_size))
    again = KeyRing.open(tmp_path / "cut", FileRoot(tmp_path / "cut.key"))
    again.warm([7])
    assert again.current(7)[0] == 2
    with pytest.raises(KeyGone):
        again.opener(7, 1)
    again.destroy(7, 1)
    assert (place.exists(), again.epochs(7)) == (False, (2,))
    again.close()


def test_a_key_that_does_not_open_is_not_an_erased_one(ring: KeyRing) -> None:
    """A root that refuses says nothing of the file: who takes it for erased destroys a key that is needed."""
    ring.current(7)
    ring._held.clear()
    path, whole = ring._path(7, 1), ring._path(7, 1).read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(RootError, match="not wrapped"):
        ring.opener(7, 1)
    assert not ring.erased(7, 1)
    half = len(whole) // 2
    path.write_bytes(bytes(half) + whole[half:])
    assert ring.erased(7, 1)
    with pytest.raises(KeyGone):
        ring.opener(7, 1)
