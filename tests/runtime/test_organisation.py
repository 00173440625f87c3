from pathlib import Path

import pytest

from runtime import organisation
from runtime.platform import Platform
from runtime.settings import Settings


def test_who_we_are_need_not_be_said_again(tmp_path: Path) -> None:
    made = Settings(home=tmp_path, mail_dir=tmp_path / "mail", base_url="https://crm.example.com")
    Platform.create(made).close()
    again = Platform.open(Settings(home=tmp_path, mail_dir=tmp_path / "mail"))
    assert again.controller == "did:web:crm.example.com"
    assert again.settings.base_url == "https://crm.example.com"
    again.close()


def test_what_is_said_counts_more_than_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").mkdir()
    organisation.keep(Settings(home=tmp_path, home_jurisdiction="DE", base_url="https://crm.example.com"))
    monkeypatch.setenv("FIELDGRANT_BASE_URL", "https://other.example.com")
    recalled = organisation.recall(Settings(home=tmp_path))
    assert (recalled.base_url, recalled.home_jurisdiction) == ("https://other.example.com", "DE")


def test_where_nothing_was_kept_the_settings_stay(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert organisation.recall(settings) == settings
