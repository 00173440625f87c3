"""The one turnstile of a platform: every process that reads or withdraws must use this."""

from runtime.platform import Platform
from verifier.drain import Turnstile


def of(platform: Platform) -> Turnstile:
    """Lock files beside a database file; PostgreSQL's own locks where the readers may be on other hosts."""
    place = platform.settings.data_dir / "gate"
    if platform.database.engine.dialect.name == "sqlite":
        return Turnstile(place)
    from verifier.advisory import AdvisoryTurnstile  # noqa: PLC0415 - SQLite needs no driver of PostgreSQL's

    url = platform.database.engine.url.render_as_string(hide_password=False)
    return AdvisoryTurnstile(place, url, platform.settings.send_deadline)
