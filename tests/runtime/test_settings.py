from pathlib import Path

import pytest

from runtime.settings import Settings


def test_directories_default_to_places_under_home_with_the_keys_beside_the_data() -> None:
    settings = Settings(home=Path("there"))
    assert settings.data_dir == Path("there/data")
    assert settings.keys_dir == Path("there/keys")
    assert settings.journal_dir == Path("there/data/journal")
    assert settings.database == "sqlite:///there/data/db/fieldgrant.db"


def test_the_environment_sets_what_arguments_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDGRANT_BASE_URL", "https://crm.example.com")
    monkeypatch.setenv("FIELDGRANT_SERVICE_URLS", '{"crm": "https://core.example.com/"}')
    settings = Settings()
    assert settings.urls["crm"] == "https://core.example.com"
    assert settings.urls["audit"] == "https://crm.example.com"


def test_the_vault_token_does_not_show_itself() -> None:
    assert "s3cret" not in repr(Settings(vault_token="s3cret"))
