"""``fieldgrant wallet fate``: what became of the owner's fields, each certificate checked against the log."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from wallet import render
from wallet.desk import at_desk
from wallet.disposed import Checked, Disposed
from wallet.fate_words import say
from wallet.happened import said
from wallet.names import Names
from wallet.options import DEFAULT_PATH, JsonOption, LangOption, OrgOption, PathOption, opened


def fate(
    org: OrgOption = None, path: PathOption = DEFAULT_PATH, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """What became of your fields: kept and why, archived until when, destroyed; who else was told to delete them."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        found = wallet.fate(org)
        citations = {str(one.id): one.citation for one in wallet.grounds(org)}
        desk.show(found, shown(found, citations, wallet.names(desk.language)))


def shown(found: Disposed, citations: Mapping[str, str], names: Names) -> RenderableType:
    """Fields, openings, recipients and certificates in the owner's language."""
    language = names.language
    lines = [_field(one, citations, names) for one in found.state["fields"]]
    parts: list[RenderableType] = [_section(language, "fields", lines)]
    for name, tell in (("openings", _opening), ("elsewhere", _told)):
        if found.state[name]:
            parts.append(_section(language, name, [tell(one, names) for one in found.state[name]]))
    if found.certificates:
        parts.append(_section(language, "certificates", [_certificate(one, names) for one in found.certificates]))
    return Group(*parts)


def _section(language: str, title: str, lines: list[str]) -> RenderableType:
    text = "\n".join(f"  {line}" for line in lines) or f"  {say(language, 'nothing')}"
    return Group(Text(say(language, title), style="bold"), render.plain(text))


def _field(one: Mapping[str, Any], citations: Mapping[str, str], names: Names) -> str:
    language = names.language
    state, ground = str(one.get("state", "")), str(one.get("ground") or "")
    why = citations.get(ground) or one.get("legal_ground") or (say(language, "your_consent", id=render.short(ground)))
    until = str(one.get("destroy_by") or "")[:10]
    return f"{names.field(str(one.get('field')))}: {say(language, f'state_{state}', why=why, until=until)}"


def _opening(one: Mapping[str, Any], names: Names) -> str:
    language, field = names.language, names.field(str(one.get("field")))
    reason = say(language, f"reason_{one.get('reason')}")
    return say(
        language, "opened", field=field, at=str(one.get("at"))[:16].replace("T", " "), reason=reason,
        legal_ground=one.get("legal_ground"), approved_by=one.get("approved_by"),
    )  # fmt: skip


def _told(one: Mapping[str, Any], names: Names) -> str:
    state = say(
        names.language, f"told_{one.get('state')}", deadline=str(one.get("deadline"))[:10], citation=one.get("citation")
    )
    fields = ", ".join(names.field(str(each)) for each in one.get("fields") or ())
    return f"{one.get('recipient')} ({fields}): {state}"


def _certificate(one: Checked, names: Names) -> str:
    language = names.language
    items = ", ".join(f"{names.field(item.field)} {said(language, item.disposition)}" for item in one.certificate.items)
    total = len(one.certificate.events)
    if total and one.proved == total:
        proof = say(language, "proved", leaves=", ".join(map(str, one.leaves)))
    else:
        proof = say(language, "unproved", proved=one.proved, total=total, code=one.missing)
    still = say(language, "still_open", count=len(one.certificate.open)) if one.certificate.open else ""
    return f"{render.day(one.certificate.at)}  {items}\n    {say(language, 'signed')} {proof} {still}".rstrip()
