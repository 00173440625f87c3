"""One organisation's platform: what every app is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect

from protocol import did
from protocol.did import Did, Keys
from protocol.keys import Ed25519Signer
from runtime import journal, keyfiles, organisation
from runtime.clock import Clock, Clocks
from runtime.journal import Journal
from runtime.keyring import KeyRing, RingError
from runtime.outbox import pending
from runtime.outbox_chain import KEY, Chain
from runtime.root import FileRoot, Root, RootError
from runtime.session import Database
from runtime.settings import Settings

_SERVICE_TYPES = {
    "issuer": "FieldgrantIssuer",
    "verifier": "FieldgrantVerifier",
    "crm": "FieldgrantCrm",
    "redaction": "FieldgrantRedaction",
    "audit": "FieldgrantAudit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Settings, clock, stores and the controller's identity. `document` is its did:web document, `keys` resolves it."""

    settings: Settings
    clock: Clocks
    database: Database
    keyring: KeyRing
    journal: Journal
    controller: Did
    signer: Ed25519Signer
    document: Mapping[str, Any]
    keys: Keys

    @classmethod
    def create(cls, settings: Settings, clock: Clocks | None = None) -> "Platform":
        """Make directories, keys, journal and schema, then open. Raises RingError, RootError.

        Codes: `ring_exists`, `data_exists`, `keys_in_data`.
        """
        _check_places(settings)
        for directory in (settings.data_dir, settings.db_dir, settings.log_dir, settings.keys_dir):
            keyfiles.make_directory(directory)
        settings.mail_dir.mkdir(parents=True, exist_ok=True)
        keyring = KeyRing.create(settings.keys_dir, root_of(settings, create=True), did.web_did(settings.base_url))
        Journal(settings.journal_dir, keyring.secret(journal.KEY), create=True)
        organisation.keep(settings)
        return cls.open(settings, clock)

    @classmethod
    def open(cls, settings: Settings, clock: Clocks | None = None) -> "Platform":
        """Open what `create` made, its schema brought up to date. Raises RingError, JournalError, RootError.

        What the settings leave open of the organisation (`base_url` …) is taken from what `create` wrote down.
        """
        settings = organisation.recall(settings)
        controller = did.web_did(settings.base_url)
        keyring = KeyRing.open(settings.keys_dir, root_of(settings))
        if keyring.org != controller:
            raise RingError("wrong_org", "this key-ring belongs to another organisation (base_url)")
        kept = Journal(settings.journal_dir, keyring.secret(journal.KEY))
        database = Database(settings.database, Chain(keyring.secret(KEY)), settings.database_roles)
        database.migrate()
        signer = keyring.signer("controller", did=controller, verification_method=f"{controller}#key-1")
        services = {_SERVICE_TYPES[name]: url for name, url in settings.urls.items()}
        document = did.controller_document(controller, assertion_keys={"key-1": signer.public}, services=services)
        return cls(
            settings=settings,
            clock=clock or Clock(settings.clock_file, key=keyring.secret("clock")),
            database=database,
            keyring=keyring,
            journal=kept,
            controller=controller,
            signer=signer,
            document=document,
            keys=Keys([document]),
        )

    def close(self) -> None:
        """Drop the keys and close the database."""
        self.keyring.close()
        self.database.dispose()


def root_of(settings: Settings, *, create: bool = False) -> Root:
    """The root that the settings name: Vault where an address is given, else `keys_dir/root.key`. Raises RootError."""
    if settings.vault_addr:
        from runtime.vault import VaultRoot  # noqa: PLC0415 - only those who use Vault pay for its client

        token = settings.vault_token.get_secret_value() if settings.vault_token else ""
        try:
            return VaultRoot(settings.vault_addr, token, settings.vault_key)
        except ValueError as error:
            raise RootError("bad_setting", str(error)) from None
    path = settings.keys_dir / "root.key"
    return FileRoot.create(path) if create and not path.exists() else FileRoot(path)


def _check_places(settings: Settings) -> None:
    """Before anything is made: keys lie apart from the data, whose backups would else hold them."""
    data, keys = settings.data_dir.resolve(), settings.keys_dir.resolve()
    if keys.is_relative_to(data) or data.is_relative_to(keys):
        raise RingError("keys_in_data", "the keys need a directory of their own, outside the data's and not around it")
    if (keys / "ring.json").exists():
        return
    if settings.db_dir.is_dir() and any(settings.db_dir.iterdir()):
        raise RingError("data_exists", f"there is a platform's data at {settings.data_dir} already, with other keys")
    if not settings.database.startswith("sqlite") and _used(settings):
        raise RingError("data_exists", "there is a platform's data in this database already, with other keys")


def _used(settings: Settings) -> bool:
    database = Database(settings.database, others=settings.database_roles)
    try:
        with database.read() as session:
            return inspect(session.connection()).has_table("outbox") and bool(pending(session, 0, 1))
    finally:
        database.dispose()
