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


def stage_at(url: str, home: Path, name: str = "shop") -> Stage:
    """A new organisation whose database is `url`'s, with roles apart as `fieldgrant database roles` makes them."""
    settings = Settings(
        home=home, mail_dir=home / "mail", send_deadline=0.1, database=of(url, name),
        database_keeper=of(url, f"{name}_keeper"), database_reader=of(url, f"{name}_reader"),
    )  # fmt: skip
    clock = FixedClock(START)
    Platform.create(settings, clock).close()
    platform = Platform.open(settings, clock)
    return Stage(platform, default_catalogue(), Gate.open(platform, default_catalogue()), clock)
