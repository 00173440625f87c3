"""Roles apart: their addresses, and platforms that run by them."""

from pathlib import Path

from runtime.clock import FixedClock
from runtime.platform import Platform
from runtime.settings import Settings
from tests.verifier.stage import START, Stage, default_catalogue
from verifier.gate import Gate


def of(url: str, role: str) -> str:
    """The address of this database for a role."""
    return url.replace("//postgres@", f"//{role}@")


def stage_apart(url: str, home: Path) -> Stage:
    """A new organisation whose database is `url`'s, with its roles apart."""
    return _stage(
        Settings(
            home=home, mail_dir=home / "mail", send_deadline=0.1, database=of(url, "shop"),
            database_keeper=of(url, "shop_keeper"), database_reader=of(url, "shop_reader"),
        )
    )  # fmt: skip


def stage_at(url: str, home: Path) -> Stage:
    """A new organisation whose database is `url`'s, by one role for everything."""
    return _stage(Settings(home=home, mail_dir=home / "mail", send_deadline=0.1, database=url))


def _stage(settings: Settings) -> Stage:
    clock = FixedClock(START)
    Platform.create(settings, clock).close()
    platform = Platform.open(settings, clock)
    return Stage(platform, default_catalogue(), Gate.open(platform, default_catalogue()), clock)
