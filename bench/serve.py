"""The servers of the rows about HTTP, each a process: `python -m bench.serve kind home port`.

- `ours`: the product, its desk alone;
- `unrecorded`: the same, but nothing is put on record;
- `open`: the same routes, sign-in and sealed records, without gate and record;
- `tutorial`: SQLModel, `select` and a response model over clear columns, as the tutorials show it;
- `handwritten`: the fastest that we can write over the same clear columns: `text()` and orjson.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from fastapi import Depends, FastAPI, Response
from sqlalchemy import create_engine, text
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, select

from bench import scene
from bench.scene import FIELDS, PURPOSE, Scene
from crm_core import records
from crm_core.reading import asking
from fieldgrant import compose
from fieldgrant.compose import House
from protocol.consent import SubjectId
from runtime import problem, serve, staff
from runtime.staff import Staff
from verifier.gate import Gate
from verifier.recorder import Recorder

COLUMNS = tuple(field.replace(".", "_") for field in FIELDS)


class _Silent(Recorder):
    """Puts nothing on record. Only ever here."""

    def record(self, type_: str, *, header: Mapping[str, Any], records: Any) -> str:
        return "urn:uuid:00000000-0000-4000-8000-000000000000"


class Clear(SQLModel, table=True):
    """A customer as most put them down: in clear columns."""

    __tablename__ = "clear_customer"

    subject: str = Column(primary_key=True)
    contact_given_name: str | None
    contact_family_name: str | None
    contact_email: str | None
    contact_phone: str | None
    contact_gender: str | None
    address_city: str | None = Column(index=True)
    address_country: str | None
    employment_job_title: str | None
    employment_company: str | None
    contact_language: str | None


class ClearAnswer(SQLModel):
    """What the tutorial's route answers, item by item."""

    subject: str
    contact_given_name: str | None
    contact_family_name: str | None
    contact_email: str | None
    contact_phone: str | None
    contact_gender: str | None
    address_city: str | None
    address_country: str | None
    employment_job_title: str | None
    employment_company: str | None
    contact_language: str | None


def clear_url(home: Path) -> str:
    """Where the clear columns lie."""
    return f"sqlite:///{home / 'clear.db'}"


def fill_clear(made: Scene, home: Path) -> None:
    """The same customers and values in clear columns."""
    engine = create_engine(clear_url(home))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    Clear.__table__.create(engine, checkfirst=True)  # type: ignore[attr-defined]
    with engine.begin() as connection:
        if connection.exec_driver_sql("SELECT 1 FROM clear_customer LIMIT 1").first() is None:
            rows = [
                {"subject": subject, **dict(zip(COLUMNS, scene.person(number).values(), strict=True))}
                for number, subject in enumerate(made.subjects)
            ]
            connection.execute(Clear.__table__.insert(), rows)  # type: ignore[attr-defined]
    engine.dispose()


def open_app(made: Scene) -> FastAPI:
    """The routes of the desk with gate and record switched off, still sealed."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    problem.install(app)
    platform, catalogue = made.platform, made.catalogue
    signing_in = staff.signing_in(platform)

    def shown(record: records.Record, fields: Any) -> dict[str, Any]:
        values, _ = records.open_readable(platform, record, fields)
        return {"subject": record.subject, "fields": {field: values.get(field) for field in fields}}

    @app.get("/crm/customers")
    def page(*, calls: Callable[[], Staff] = Depends(signing_in), select: str, limit: str) -> Response:
        calls()
        asked = asking.parse(catalogue, select=select, limit=int(limit))
        with platform.database.read() as session:
            rows = records.page(session, "", asked.limit + 1)
        items = [shown(record, asked.select) for record in rows[: asked.limit]]
        return Response(orjson.dumps({"items": items, "next": None}), media_type="application/json")

    @app.get("/crm/customers/{subject}")
    def one(subject: str, select: str, calls: Callable[[], Staff] = Depends(signing_in)) -> Response:
        calls()
        fields = asking.parse_select(catalogue, select, FIELDS)
        with platform.database.read() as session:
            record = records.load(session, SubjectId(subject))
        assert record is not None  # noqa: S101
        return Response(orjson.dumps(shown(record, fields)), media_type="application/json")

    return app


def tutorial_app(home: Path) -> FastAPI:
    """FastAPI with SQLModel as the tutorial of SQLModel shows it."""
    app = FastAPI()
    engine = create_engine(clear_url(home), connect_args={"check_same_thread": False})

    def session() -> Iterator[Session]:
        with Session(engine) as made:
            yield made

    @app.get("/crm/customers", response_model=list[ClearAnswer])
    def page(*, session: Session = Depends(session), limit: int = 50) -> Any:
        return session.exec(select(Clear).order_by(Clear.subject).limit(limit)).all()

    @app.get("/crm/customers/{subject}", response_model=ClearAnswer)
    def one(subject: str, session: Session = Depends(session)) -> Any:
        return session.get(Clear, subject)

    return app


def handwritten_app(home: Path) -> FastAPI:
    """The same with nothing that is not needed."""
    app = FastAPI(openapi_url=None)
    engine = create_engine(clear_url(home))
    listed = ", ".join(("subject", *COLUMNS))
    many = text(f"SELECT {listed} FROM clear_customer ORDER BY subject LIMIT :limit")  # noqa: S608 - our own names
    single = text(f"SELECT {listed} FROM clear_customer WHERE subject = :subject")  # noqa: S608
    names = ("subject", *COLUMNS)

    @app.get("/crm/customers")
    def page(limit: int = 50) -> Response:
        with engine.connect() as connection:
            rows = connection.execute(many, {"limit": limit}).all()
        items = [dict(zip(names, row, strict=True)) for row in rows]
        return Response(orjson.dumps({"items": items}), media_type="application/json")

    @app.get("/crm/customers/{subject}")
    def one(subject: str) -> Response:
        with engine.connect() as connection:
            row = connection.execute(single, {"subject": subject}).one()
        return Response(orjson.dumps(dict(zip(names, row, strict=True))), media_type="application/json")

    return app


def main(kind: str, home: Path, port: int) -> None:
    """Serve until told to stop."""
    if kind in ("tutorial", "handwritten"):
        app = tutorial_app(home) if kind == "tutorial" else handwritten_app(home)
        uvicorn.run(app, port=port, access_log=False, log_level="warning")
        return
    with scene.opened(home, 0) as made:
        house = made.house
        if kind == "unrecorded":
            gate = Gate(made.platform, made.catalogue, house.gate.turnstile, _Silent(made.platform))
            house = House(made.platform, house.catalogue, gate, house.registry)
        parties = ("issuer", "crm") if kind == "issuer" else ("crm",)
        serve.run(open_app(made) if kind == "open" else compose.app(house, parties), port)


def paths(subject: str) -> tuple[str, str]:
    """The page of 50 by 10 fields, and the one customer, as both sides are asked for them."""
    selected = ",".join(FIELDS)
    return (
        f"/crm/customers?purpose={PURPOSE}&limit=50&select={selected}",
        f"/crm/customers/{subject}?purpose={PURPOSE}&select={selected}",
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
