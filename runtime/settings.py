"""Settings of one platform, from arguments or from FIELDGRANT_… in the environment. Passed in, never imported."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.dialect import Role

SERVICES = ("issuer", "crm", "verifier", "redaction", "audit")


class Settings(BaseSettings):
    """Where things lie and how others reach us.

    Directories default to places under `home`; the keys lie beside the data, never in it. `send_deadline` is in
    seconds; rates are in the notation of the `limits` package (`10/minute`). Imported values for which no ground of
    storing has come are to be destroyed `unclaimed_after` (ISO 8601).
    """

    model_config = SettingsConfigDict(env_prefix="FIELDGRANT_", frozen=True, extra="forbid")

    home: Path = Path("out/serve/8700")
    data_dir: Path = Field(default_factory=lambda data: data["home"] / "data")
    keys_dir: Path = Field(default_factory=lambda data: data["home"] / "keys")
    journal_dir: Path = Field(default_factory=lambda data: data["data_dir"] / "journal")
    mail_dir: Path = Path("out/mail")
    database: str = Field(default_factory=lambda data: f"sqlite:///{data['data_dir'] / 'db' / 'fieldgrant.db'}")
    # where the roles of a PostgreSQL database are apart, see `fieldgrant database roles`
    database_owner: str | None = None
    database_keeper: str | None = None
    database_reader: str | None = None
    base_url: str = "http://localhost:8700"
    service_urls: dict[str, str] = Field(default_factory=dict)
    wallet_url: str | None = None  # where the wallet's page is: an origin of its own
    home_jurisdiction: str = "CN"
    languages: tuple[str, ...] = ("en", "zh-CN")
    smtp_url: str | None = None
    vault_addr: str | None = None
    vault_token: SecretStr | None = None
    vault_key: str = "fieldgrant"
    send_deadline: float = 2.0
    small_group: int = Field(default=5, ge=1)  # customers behind a count or aggregate, at least; 1 shows all
    answer_days: int = Field(default=15, ge=1, le=30)  # working days, PIPL art. 50; elsewhere GDPR art. 12(3)
    unclaimed_after: str = "P90D"
    sign_in_rate: str = "10/minute"
    token_rate: str = "60000/minute"  # noqa: S105 - a rate

    @property
    def database_roles(self) -> Mapping[Role, str | None]:
        """The database's addresses for the roles that are not the writer."""
        return {"owner": self.database_owner, "keeper": self.database_keeper, "reader": self.database_reader}

    @property
    def db_dir(self) -> Path:
        """Directory of the SQLite database."""
        return self.data_dir / "db"

    @property
    def log_dir(self) -> Path:
        """Directory of the log's tiles and checkpoint."""
        return self.data_dir / "log"

    @property
    def clock_file(self) -> Path:
        """File with the clock's high-water mark."""
        return self.data_dir / "clock"

    @property
    def urls(self) -> Mapping[str, str]:
        """Base URL of every service (`SERVICES`), our own where none is set."""
        base = self.base_url.rstrip("/")
        return {name: self.service_urls.get(name, base).rstrip("/") for name in SERVICES}
