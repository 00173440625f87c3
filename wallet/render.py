"""What the terminal shows: tables for people, JSON for programs. Foreign text is shown without control characters."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from protocol import times
from protocol.certificate import Certificate
from protocol.consent import Consent, Process
from protocol.ground import StatutoryGround
from protocol.receipt import Receipt
from wallet.happened import lasting, said
from wallet.holding import Holding
from wallet.names import Names
from wallet.offer import Offer
from wallet.words import say


def plain(text: object) -> Text:
    """Text that can neither move the cursor nor turn its own direction."""
    return Text("".join(c for c in str(text) if c.isprintable() or c == "\n"))


def jsonable(value: Any) -> Any:
    """Our values as JSON: sets sorted, moments as text, no keys and no raw documents."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name not in ("document", "seed")]
        return {name: jsonable(getattr(value, name)) for name in names}
    if isinstance(value, datetime):
        return times.iso(value)
    if isinstance(value, Mapping):
        return {str(name): jsonable(one) for name, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [jsonable(one) for one in value]
    return value


def short(id_: str) -> str:
    """The first piece of a ``urn:uuid:``, enough to name it on the command line."""
    return id_.removeprefix("urn:uuid:")[:8]


def day(at: datetime | None) -> str:
    """A moment to the minute, UTC."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}Z"


def offers(offered: Sequence[Offer], names: Names) -> RenderableType:
    """Each ask with all that it asks for, and its notice word for word."""
    parts: list[RenderableType] = []
    language = names.language
    for one in offered:
        title = Text.assemble(say(language, "ask"), " ", short(one.ask.id), "  ", plain(one.ask.controller))
        parts.append(Panel(plain(one.notice), title=title, title_align="left"))
        parts.append(processes(one.ask.processes, names.of(one.ask.controller)))
        until, by = say(language, "until"), say(language, "answer_by")
        parts.append(Text(f"{until}: {day(one.ask.latest_until)}   {by}: {day(one.ask.expires)}\n"))
    return Group(*parts)


def processes(listed: Iterable[Process], names: Names) -> Table:
    """What for, what is done with which fields (each with the id that the command line takes), who, where, how long."""
    language = names.language
    table = sheet(language, "purpose", "processing", "fields", "recipients", "places", "data_life")
    for process in listed:
        table.add_row(
            plain(names.purpose(process.purpose)),
            plain(done(process, language)),
            plain("\n".join(names.both(field) for field in sorted(process.fields))),
            plain("\n".join(sorted(process.recipients))),
            plain(", ".join(sorted(process.jurisdictions | process.locations))),
            plain(lasting(language, process.duration)),
        )
    return table


def done(process: Process, language: str) -> str:
    """What is done with the fields, in words; a term that is not known stays as it is."""
    return said(language, "and").join(said(language, one) for one in sorted(process.processing, reverse=True))


def holdings(listed: Sequence[tuple[Holding, Sequence[tuple[Consent, str]]]], all_names: Names) -> RenderableType:
    """Organisations and the consents given to each, with how they stand."""
    parts: list[RenderableType] = []
    language = all_names.language
    for holding, consents in listed:
        names = all_names.of(holding.controller)
        parts.append(Text.assemble((str(holding.controller), "bold"), "\n", holding.did))
        table = sheet(language, "consent", "standing", "purpose", "processing", "fields", "until")
        for consent, standing in consents:
            table.add_row(
                short(consent.id),
                plain(said(language, standing)),
                plain("\n".join(names.purpose(process.purpose) for process in consent.processes)),
                plain("\n".join(done(process, language) for process in consent.processes)),
                plain("\n".join(_listed(process.fields, names) for process in consent.processes)),
                day(consent.valid_until),
            )
        nothing = "no_consents" if holding.enrolment is not None else "not_finished"
        parts.append(table if consents else Text(say(language, nothing)))
    return Group(*(parts or [Text(say(language, "no_organisations"))]))


def grounds(listed: Sequence[StatutoryGround], all_names: Names) -> RenderableType:
    """Statutory grounds: what the organisation may do without consent, and why it says so."""
    language = all_names.language
    table = sheet(language, "purpose", "processing", "fields", "citation", "ends")
    for ground in listed:
        names = all_names.of(ground.controller)
        purposes = "\n".join(names.purpose(process.purpose) for process in ground.processes)
        fields = "\n".join(_listed(process.fields, names) for process in ground.processes)
        used = "\n".join(done(process, language) for process in ground.processes)
        ends = say(language, "until_enrolled") if ground.until_enrolled else day(ground.valid_until)
        table.add_row(plain(purposes), plain(used), plain(fields), plain(ground.citation), ends)
    return Group(Text(say(language, "grounds"), style="bold"), table)


def receipts(listed: Sequence[Receipt], language: str) -> Table:
    """Receipts, oldest first."""
    table = sheet(language, "when", "what", "standing", "consent", "shut")
    for one in listed:
        about = short(one.consent.id) if one.consent is not None else ""
        what, standing = plain(said(language, one.event)), plain(said(language, one.standing))
        table.add_row(day(one.at), what, standing, about, day(one.shut_at))
    return table


def certificates(listed: Sequence[Certificate], names: Names) -> RenderableType:
    """What became of fields."""
    language = names.language
    table = sheet(language, "when", "fields", "disposition", "destroy_by")
    for one in listed:
        for item in one.items:
            became = plain(said(language, item.disposition))
            table.add_row(day(one.at), plain(names.field(item.field)), became, day(item.destroy_by))
    return Group(Text(say(language, "certificates"), style="bold"), table)


def history(items: Sequence[Mapping[str, Any]], names: Names) -> Table:
    """What is on record, newest first."""
    language = names.language
    table = sheet(language, "when", "what", "purpose", "fields", "entry")
    table.columns[0].no_wrap = True
    for item in items:
        table.add_row(
            plain(str(item.get("time", ""))[:19].replace("T", " ") + "Z"),
            plain(_happened(item, language)),
            plain(names.purpose(str(item.get("purpose") or ""))),
            plain(_fields(item, names)),
            plain(short(str(item.get("event") or ""))),
        )
    return table


def record(found: Sequence[Receipt], certified: Sequence[Certificate], names: Names) -> RenderableType | None:
    """Receipts and certificates; nothing where there are none."""
    parts: list[RenderableType] = [receipts(found, names.language)] if found else []
    parts += [certificates(certified, names)] if certified else []
    return Group(*parts) if parts else None


def overview(
    rows: Sequence[tuple[Holding, Sequence[tuple[Consent, str]]]], claimed: Sequence[StatutoryGround], names: Names
) -> RenderableType:
    """All of the wallet on one page."""
    return Group(holdings(rows, names), *([grounds(claimed, names)] if claimed else []))


def summary(holding: Holding, consents: Sequence[tuple[Consent, str]]) -> dict[str, Any]:
    """One organisation for programs; never its key."""
    return {
        "organisation": holding.controller,
        "issuer": holding.issuer,
        "did": holding.did,
        "consents": [{**jsonable(consent), "standing": standing} for consent, standing in consents],
        "waiting": len(holding.pending),
    }


def console() -> Console:
    """Standard output, without colours where it is not a terminal."""
    return Console(highlight=False)


def _happened(item: Mapping[str, Any], language: str) -> str:
    """What happened, and in which role somebody did it."""
    what, role = said(language, str(item.get("kind", ""))), item.get("role")
    if item.get("kind") == "release" and not item.get("released"):
        what = said(language, "looked_up")  # in a list, say: every field of the owner's was withheld
    return said(language, "by", what=what, who=role) if role else what


def _listed(fields: Iterable[str], names: Names) -> str:
    return said(names.language, "and").join(names.field(one) for one in sorted(fields))


def _fields(item: Mapping[str, Any], names: Names) -> str:
    """What was read, and what was withheld for which reason; for other events the fields concerned."""
    released, withheld, fields = item.get("released") or [], item.get("withheld") or {}, item.get("fields") or []
    lines = [names.field(str(one)) for one in [*released, *fields]]
    reasons: dict[str, list[str]] = {}
    for field, reason in withheld.items() if isinstance(withheld, Mapping) else ():
        reasons.setdefault(str(reason), []).append(str(field))
    language = names.language
    for reason, ids in reasons.items():
        lines.append(said(language, "withheld", reason=said(language, reason), fields=_listed(ids, names)))
    return "\n".join(lines)


def sheet(language: str, *columns: str) -> Table:
    """An empty table with these headings, keys of `words`."""
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(say(language, column), overflow="fold")
    return table
