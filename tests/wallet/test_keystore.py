"""The sealed file: opens for its passphrase alone, is never half written, tells nothing."""

import base64
import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.wallet.conftest import PASSPHRASE, WEAK
from wallet import keystore
from wallet.errors import WalletError
from wallet.keystore import MODERATE, Keystore

SECRET = {"v": 1, "organisations": [], "secret": "a seed"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "wallet"


def made(path: Path) -> Path:
    Keystore.create(path, PASSPHRASE, dict(SECRET), strength=WEAK).close()
    return path


def code(call: Any) -> str:
    with pytest.raises(WalletError) as caught:
        call()
    return caught.value.code


def test_a_wallet_opens_for_its_passphrase_alone(path: Path) -> None:
    made(path)
    with Keystore.open(path, PASSPHRASE) as store:
        assert store.content == SECRET
    assert code(lambda: Keystore.open(path, PASSPHRASE + " ")) == "wrong_passphrase"


def test_wrong_passphrases_are_on_record_for_the_owner_once_and_within_bounds(path: Path) -> None:
    before = made(path).read_bytes()
    for _ in range(2):
        assert code(lambda: Keystore.open(path, "not this one")) == "wrong_passphrase"
    assert path.read_bytes() == before
    with Keystore.open(path, PASSPHRASE):
        noted = keystore.attempts(path)
        assert len(noted) == 2
        assert all(line.endswith("Z") for line in noted)
        assert keystore.attempts(path) == ()
    assert [one.name for one in path.parent.iterdir() if "not this one" in one.read_text(errors="replace")] == []
    noted_at = path.with_name(f".{path.name}.attempts")
    noted_at.write_text("2026-11-22T08:00:00Z\n" * 400)
    size = noted_at.stat().st_size
    assert code(lambda: Keystore.open(path, "not this one")) == "wrong_passphrase"
    assert noted_at.stat().st_size == size


def test_the_same_passphrase_typed_in_another_unicode_form_opens(path: Path) -> None:
    Keystore.create(path, "Zürich Zürich", dict(SECRET), strength=WEAK).close()
    Keystore.open(path, "Zu\u0308rich Zu\u0308rich").close()


def test_the_file_tells_nothing_and_is_for_its_owner_alone(path: Path) -> None:
    data = made(path).read_bytes()
    assert b"seed" not in data
    assert set(json.loads(data)) == {"v", "kind", "kdf", "box"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_each_saving_uses_a_new_nonce_and_leaves_no_temporary_file(path: Path) -> None:
    made(path)
    before = path.read_bytes()
    with Keystore.open(path, PASSPHRASE) as store:
        store.save()
    assert path.read_bytes() != before
    assert sorted(one.name for one in path.parent.iterdir()) == [".wallet.lock", "wallet"]


def test_an_existing_wallet_is_never_overwritten(path: Path) -> None:
    before = made(path).read_bytes()
    assert code(lambda: Keystore.create(path, "another passphrase", {}, strength=WEAK)) == "wallet_exists"
    assert path.read_bytes() == before


def test_a_weak_passphrase_and_a_missing_wallet_are_refused(path: Path) -> None:
    assert code(lambda: Keystore.create(path, "1234567", {}, strength=WEAK)) == "weak_passphrase"
    assert not path.exists()
    assert code(lambda: Keystore.open(path, PASSPHRASE)) == "no_wallet"


def test_a_failed_write_leaves_the_old_file_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    before = path.read_bytes()
    with Keystore.open(path, PASSPHRASE) as store:
        store.content = {"v": 2}
        for call in ("fsync", "open"):
            with monkeypatch.context() as broken:
                broken.setattr(os, call, _fail)
                with pytest.raises(OSError, match="no space"):
                    store.save()
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == [".wallet.lock", "wallet"]


def _fail(*_: Any) -> int:
    raise OSError(28, "no space left")


def test_two_programs_cannot_change_a_wallet_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    monkeypatch.setattr(keystore, "LOCK_WAIT", 0.2)
    with Keystore.open(path, PASSPHRASE):
        assert code(lambda: Keystore.open(path, PASSPHRASE)) == "wallet_busy"
    Keystore.open(path, PASSPHRASE).close()


def _append(path: str, name: str) -> None:
    for _ in range(5):
        with Keystore.open(Path(path), PASSPHRASE) as store:
            store.content = {**store.content, "organisations": [*store.content["organisations"], name]}
            store.save()


def test_writers_in_two_processes_lose_nothing(path: Path) -> None:
    made(path)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(str(path), name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Keystore.open(path, PASSPHRASE) as store:
        assert sorted(store.content["organisations"]) == ["a"] * 5 + ["b"] * 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("kind", "fieldgrant-wallet-backup"),
        ("box", "AAAA"),
        ("box", "!"),
        ("kdf", None),
        ("kdf", {"name": "scrypt"}),
        ("opslimit", 1 << 40),
        ("opslimit", "3"),
        ("memlimit", 1 << 40),
        ("memlimit", 1),
        ("salt", "AAAA"),
        ("name", "pbkdf2"),
    ],
)
def test_a_file_that_is_no_wallet_or_costs_too_much_is_refused(path: Path, name: str, value: Any) -> None:
    file = json.loads(made(path).read_bytes())
    target = file["kdf"] if name in file["kdf"] else file
    target[name] = value
    path.write_text(json.dumps(file))
    assert code(lambda: Keystore.open(path, PASSPHRASE)) == "bad_wallet"


def test_a_changed_byte_of_the_box_is_noticed(path: Path) -> None:
    file = json.loads(made(path).read_bytes())
    box = bytearray(base64.b64decode(file["box"]))
    box[-1] ^= 1
    file["box"] = base64.b64encode(box).decode()
    path.write_text(json.dumps(file))
    assert code(lambda: Keystore.open(path, PASSPHRASE)) == "wrong_passphrase"
    path.write_bytes(b"\x00")
    assert code(lambda: Keystore.open(path, PASSPHRASE)) == "bad_wallet"


def test_a_backup_has_a_passphrase_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "backup"
    keystore.backup(SECRET, file, "another passphrase", strength=WEAK)
    assert keystore.open_backup(file, "another passphrase") == SECRET
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert code(lambda: keystore.open_backup(file, PASSPHRASE)) == "wrong_passphrase"
    assert code(lambda: keystore.backup(SECRET, file, "another passphrase", strength=WEAK)) == "file_exists"
    assert code(lambda: keystore.open_backup(tmp_path / "none", PASSPHRASE)) == "no_backup"


def test_by_default_a_guess_costs_libsodiums_moderate_amount(path: Path) -> None:
    Keystore.create(path, PASSPHRASE, {}).close()
    kdf = json.loads(path.read_bytes())["kdf"]
    assert (kdf["opslimit"], kdf["memlimit"]) == (MODERATE.opslimit, MODERATE.memlimit)
    assert kdf["memlimit"] >= 1 << 28
