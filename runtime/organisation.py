"""Who we are, kept beside the keys, so that whoever opens the platform later need not say it again."""

import json
from pathlib import Path

from runtime import keyfiles
from runtime.settings import Settings

FILE = "organisation.json"
_KEPT = ("base_url", "service_urls", "home_jurisdiction")
# kept where it is a server (a file lies with the data, wherever these are moved to); never the owner's
_DATABASE = ("database", "database_keeper", "database_reader")


def keep(settings: Settings) -> None:
    """Write down, in the key directory, what makes up the controller's DID document."""
    kept = {name: getattr(settings, name) for name in _KEPT}
    if not settings.database.startswith("sqlite"):
        kept |= {name: getattr(settings, name) for name in _DATABASE}
    keyfiles.write(settings.keys_dir / FILE, json.dumps(kept, indent=2).encode())


def recall(settings: Settings) -> Settings:
    """The settings with what was kept, except where they were set explicitly. Unchanged where nothing was kept."""
    path: Path = settings.keys_dir / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return settings
    names = (*_KEPT, *_DATABASE)
    given = {name: kept[name] for name in names if name in kept and name not in settings.model_fields_set}
    return settings.model_copy(update=given)
