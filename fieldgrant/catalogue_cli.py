"""`fieldgrant catalogue`: versions, drafts with their diff and impact, publishing by two people, custom fields.

Works on the platform of this machine, beside a server that runs. Whoever declares or approves signs in with their own
password: holding the keys of the machine is not enough to speak in a colleague's name.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from sqlmodel import col, select

from fieldgrant.compose import House, house
from issuer import editions, publication, transfers
from issuer.catalogue import CatalogueError, changes, content, loading
from issuer.catalogue.content import Version
from issuer.credentials import Credential
from issuer.transfers import Home
from runtime import terminal
from runtime.terminal import Data, Keys
from verifier import impact as impacts
from verifier.reconcile import Disagreement

app = typer.Typer(name="catalogue", help="Fields, purposes, recipients and notices.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Account = Annotated[str, typer.Option(help="Your staff account; its password is asked for.")]
Name = Annotated[str, typer.Option("--name", help="What the new version is to be called; else the time.")]
What = Annotated[
    str, typer.Argument(help="A draft's id, or a file: a whole catalogue, or a change to the one in effect.")
]


@contextmanager
def _home(data: Path | None, keys: Path | None) -> Iterator[House]:
    with terminal.opened(data, keys, CatalogueError, Disagreement) as platform:
        yield house(platform)


@app.command("list")
def list_(data: Data = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """Show every version, newest first, and the drafts that wait for approval.

    Example: fieldgrant catalogue list
    """
    with _home(data, keys) as home, home.platform.database.read() as session:
        chain = editions.chain(session, home.platform, home.platform.journal.catalogue)
        drafts = list(
            session.exec(select(Credential).where(Credential.kind == editions.DRAFT).order_by(col(Credential.at)))
        )
        first = content.packaged().catalogue
    rows = [
        (n, one.version.catalogue.version, one.edition.id) if one else (n, "NOT WHAT WAS SIGNED", "")
        for n, one in chain
    ]
    rows.append((0, first.version, "came with the software"))
    if as_json:
        listed = [{"number": number, "version": version, "id": id_} for number, version, id_ in rows]
        typer.echo(json.dumps({"versions": listed, "drafts": [row.id for row in drafts]}))
        return
    table = Table("number", "version", "id")
    for number, version, id_ in rows:
        table.add_row(str(number), version, id_)
    Console().print(table)
    for row in drafts:
        typer.echo(f"draft {row.id} of {row.at[:16]}Z")


@app.command("show")
def show(data: Data = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """Show the version in effect: its fields by purpose, and how far customers have been compiled under it.

    Example: fieldgrant catalogue show
    """
    with _home(data, keys) as home:
        now = publication.standing(home.registry).catalogue
        with home.platform.database.read() as session:
            waiting = publication.unfinished(session)
    told = {"number": now.number, "version": now.version, "digest": now.digest, "settled": not waiting}
    if as_json:
        typer.echo(json.dumps(told))
        return
    table = Table("purpose", "fields", "roles", "asked alone", title=f"{now.version} (number {now.number})")
    for one in now.purposes.values():
        table.add_row(
            one.key, str(len(one.necessity)), ", ".join(sorted(one.roles)), "yes" if one.separate_consent else ""
        )
    Console().print(table)
    typer.echo(f"{len(now.fields)} fields, digest {now.digest}")
    if waiting:
        typer.echo("customers are still being compiled")


@app.command("export")
def export(
    number: Annotated[
        int | None, typer.Argument(help="Which version; else the one in effect. 0: the packaged one.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write here; the file must not be there yet.")] = None,
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Write a version as YAML, to be changed and declared as a draft.

    Example: fieldgrant catalogue export --out catalogue.yaml
    """
    with _home(data, keys) as home:
        written = (
            publication.standing(home.registry).written
            if number is None
            else publication.written_of(home.registry, number)
        )
        text = yaml.safe_dump(json.loads(json.dumps(dict(written))), allow_unicode=True, sort_keys=False, width=120)
        if out is None:
            typer.echo(text, nl=False)
            return
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    typer.echo(f"{out}: change it, then `fieldgrant catalogue draft {out} --account …`")


@app.command("diff")
def diff(what: What, data: Data = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """Show what a draft or a file changes, place by place.

    Example: fieldgrant catalogue diff catalogue.yaml
    """
    with _home(data, keys) as home:
        version, said = _proposed(home, what)
        found = list(changes.diff(publication.standing(home.registry).written, version.written))
    if as_json:
        listed = [{"place": one.place, "kind": one.kind, "before": one.before, "after": one.after} for one in found]
        typer.echo(json.dumps({"changes": listed, "ends": content.ends_of(said)}, ensure_ascii=False))
        return
    for one in found:
        typer.echo(str(one))
    for purpose, field in content.ends_of(said):
        typer.echo(f"! grounds do not cover {field} for {purpose} any more, for ever")


@app.command("preview")
def preview(what: What, data: Data = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """Count what a draft or a file would do, from verified evidence. Changes nothing.

    Example: fieldgrant catalogue preview catalogue.yaml
    """
    with _home(data, keys) as home:
        version, said = _proposed(home, what)
        with Console(stderr=True).status("Counting") as status:
            told = impacts.measure(
                home.platform, home.catalogue, version, said, lambda done: status.update(f"{done} customers counted")
            )
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for line in impacts.in_words(told):
        typer.echo(line)


@app.command("draft")
def draft(
    file: Annotated[Path, typer.Argument(help="A whole catalogue, or a change to the one in effect (YAML or JSON).")],
    account: Account,
    name: Name = "",
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Declare a draft of the next version, as the data protection officer. Prints its id.

    Example: fieldgrant catalogue draft catalogue.yaml --account dora
    """
    with _home(data, keys) as home:
        _declare(home, account, _written(home, file, name))


@app.command("publish")
def publish(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The draft's id.")],
    account: Account,
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Approve a draft as the second person (officer or administrator): it is in effect, then customers are compiled.

    Example: fieldgrant catalogue publish urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de --account dan
    """
    with _home(data, keys) as home:
        with terminal.signed_in(home.platform, account) as staff:
            publication.approve(home.registry, staff, id_)
        now = home.catalogue.current()
        typer.echo(f"{now.version} is in effect as number {now.number}")
        columns = (TextColumn("compiling"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            publication.finish(home.registry, id_, lambda done, total: bar.update(task, completed=done, total=total))


@app.command("rollback")
def rollback(
    number: Annotated[int, typer.Argument(help="The version whose content is to come back; 0: the packaged one.")],
    account: Account,
    name: Name = "",
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Declare a draft with an older version's content. It revives no consent. Prints the draft's id.

    Example: fieldgrant catalogue rollback 3 --account dora
    """
    with _home(data, keys) as home:
        _declare(home, account, {**publication.written_of(home.registry, number), "version": name or _stamp()})


@app.command("add-field")
def add_field(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Lower case with dots, such as membership.level.")],
    *,
    account: Account,
    label_en: Annotated[str, typer.Option(help="What customers read, in English.")],
    label_zh: Annotated[str, typer.Option(help="And in Chinese.")],
    type_: Annotated[str, typer.Option("--type", help=f"One of {', '.join(sorted(loading.TYPES))}.")] = "text",
    purpose: Annotated[list[str] | None, typer.Option(help="Which purposes may ask for it (again and again).")] = None,
    category: Annotated[str, typer.Option(help="DPV-PD kind of personal data.")] = "pd:Preference",
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Only purposes that stand alone may ask for it.")
    ] = False,
    many: Annotated[bool, typer.Option("--many", help="Several values.")] = False,
    name: Name = "",
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Declare a draft with one more field, which is destroyed when its grounds end. Prints the draft's id.

    Example: fieldgrant catalogue add-field membership.level --type text --label-en "Level" --label-zh "等级"
    --purpose marketing --account dora
    """
    with _home(data, keys) as home:
        now = publication.standing(home.registry)
        entry = {
            "bit": now.catalogue.retired.fields.get(id_, content.free_bit(now.catalogue)), "category": category,
            "type": type_, "labels": {"en": label_en, "zh-CN": label_zh}, "disposition": "shred",
            **({"sensitive": True} if sensitive else {}), **({"many": True} if many else {}),
        }  # fmt: skip
        if id_ in now.catalogue.fields:
            raise CatalogueError(f"fields.{id_}", "is there already")
        needs = {one: {"necessity": {**now.catalogue.purpose(one).necessity, id_: "optional"}} for one in purpose or ()}
        change = {"fields": {id_: entry}, **({"purposes": needs} if needs else {})}
        _declare(home, account, content.changed(now.written, change, name=name or _stamp()))


@app.command("transfers")
def listed_transfers(data: Data = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """List where data may go beside ourselves at home: mechanism, until when, living consents, problems.

    Example: fieldgrant catalogue transfers
    """
    with _home(data, keys) as home:
        ours = Home(home.platform.controller, home.platform.settings.home_jurisdiction)
        abroad = impacts.abroad(home.platform, home.catalogue)
        found = transfers.listed(home.catalogue.current(), abroad, home=ours, at=home.platform.clock.now())
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    table = Table("purpose", "recipient", "where", "mechanism", "until", "consents", "problems")
    for one in found:
        table.add_row(
            one["purpose"], one["recipient"], one["jurisdiction"], one["mechanism"] or "",
            (one["mechanism_until"] or "")[:10], str(one["living_consents"]), ", ".join(one["problems"]),
        )  # fmt: skip
    Console().print(table)


def _declare(home: House, account: str, written: dict[str, Any]) -> None:
    with terminal.signed_in(home.platform, account) as staff:
        row = publication.declare(home.registry, staff, written)
    typer.echo(row.id)


def _proposed(home: House, what: str) -> tuple[Version, bytes]:
    """A draft's or a file's version and content, as it would follow the one in effect."""
    if what.startswith("urn:uuid:"):
        found = publication.proposed(home.registry, what)
        return found.version, found.content
    before = publication.standing(home.registry)
    said = content.follow(before, _written(home, Path(what), ""))
    number, at = before.catalogue.number + 1, home.platform.clock.now()
    return content.read(said, number=number, digest="", in_effect=at), said


def _written(home: House, file: Path, name: str) -> dict[str, Any]:
    """A whole catalogue out of a file; one that lacks sections is a change to the one in effect."""
    found = loading.parse(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise CatalogueError("catalogue", "must be a mapping")
    if {"fields", "purposes", "notices"} <= set(found):
        return {**found, "version": name} if name else found
    return content.changed(publication.standing(home.registry).written, found, name=name or _stamp())


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
