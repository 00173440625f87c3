from pathlib import Path

import pytest

from protocol import did
from runtime.journal import FILE, JournalError
from runtime.keyring import RingError
from runtime.platform import Platform
from runtime.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, mail_dir=tmp_path / "mail", service_urls={"crm": "http://localhost:8701"})


def test_what_was_created_opens_with_the_same_identity(settings: Settings) -> None:
    made = Platform.create(settings)
    made.close()
    again = Platform.open(settings)
    assert again.controller == made.controller == "did:web:localhost%3A8700"
    assert again.document == made.document
    assert again.keys.public(again.signer.verification_method) == made.signer.public
    assert again.clock.now().tzinfo is not None
    again.close()


def test_the_document_names_every_service(settings: Settings) -> None:
    platform = Platform.create(settings)
    assert did.service_endpoint(platform.document, "FieldgrantCrm") == "http://localhost:8701"
    for kind in ("FieldgrantIssuer", "FieldgrantVerifier", "FieldgrantRedaction", "FieldgrantAudit"):
        assert did.service_endpoint(platform.document, kind) == "http://localhost:8700"
    platform.close()


def test_a_platform_is_not_made_over_another(settings: Settings) -> None:
    Platform.create(settings).close()
    with pytest.raises(RingError) as caught:
        Platform.create(settings)
    assert caught.value.code == "ring_exists"


@pytest.mark.sqlite("looks for its file")
def test_keys_lie_apart_from_the_data_and_data_has_one_key_ring(settings: Settings, tmp_path: Path) -> None:
    for keys in (settings.data_dir / "keys", settings.data_dir, settings.data_dir.parent):
        with pytest.raises(RingError) as caught:
            Platform.create(settings.model_copy(update={"keys_dir": keys}))
        assert caught.value.code == "keys_in_data"
    assert not settings.data_dir.exists()
    Platform.create(settings).close()
    with pytest.raises(RingError) as caught:
        Platform.create(settings.model_copy(update={"keys_dir": tmp_path / "others"}))
    assert caught.value.code == "data_exists"
    assert not (tmp_path / "others").exists()


def test_anothers_keys_do_not_open(settings: Settings) -> None:
    Platform.create(settings).close()
    with pytest.raises(RingError) as caught:
        Platform.open(settings.model_copy(update={"base_url": "http://localhost:9999"}))
    assert caught.value.code == "wrong_org"


def test_without_its_journal_a_platform_does_not_open(settings: Settings) -> None:
    Platform.create(settings).close()
    (settings.journal_dir / FILE).unlink()
    with pytest.raises(JournalError) as caught:
        Platform.open(settings)
    assert caught.value.code == "journal_missing"
