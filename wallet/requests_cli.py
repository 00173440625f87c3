"""``fieldgrant wallet request …``, ``requests``, ``open``, ``open-answer``: the owner's rights at the terminal."""
# ruff: noqa: PLR0917 - typer turns each parameter into an option

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from wallet import offer, render, requests
from wallet.desk import Desk, at_desk
from wallet.errors import WalletError
from wallet.happened import said
from wallet.help import Spoken
from wallet.names import Names
from wallet.options import DEFAULT_PATH, JsonOption, LangOption, OrgOption, PathOption, YesOption, opened
from wallet.requests import Asked, Copy
from wallet.wallet import Wallet

ANSWER_PASSPHRASE = "FIELDGRANT_WALLET_ANSWER_PASSPHRASE"  # noqa: S105 - a variable's name
app = typer.Typer(
    name="request", cls=Spoken, no_args_is_help=True,
    help="Your rights: a copy, an explanation, correction, data to take along, erasure, objection, restriction.",
)  # fmt: skip

OutOption = Annotated[
    Path | None, typer.Option("--out", help="Directory to write the answer to, for you alone (mode 0600).")
]


@app.command(epilog="Example: fieldgrant wallet request access --out ~/my-data")
def access(
    out: OutOption = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything that is held about you, with where it came from and who got it; sealed to this wallet's key."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        _copied(desk, wallet.copy(wallet.ask_right("access", organisation=org).id, org), out, wallet)


@app.command(epilog="Example: fieldgrant wallet request portability --out ~/my-data")
def portability(
    out: OutOption = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """The data that you provided, to take along: JSON and a vCard 4.0."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        _copied(desk, wallet.copy(wallet.ask_right("portability", organisation=org).id, org), out, wallet)


@app.command(epilog="Example: fieldgrant wallet request explain 9b1c40aa")
def explain(
    event: Annotated[str, typer.Argument(help="The read: its entry in `history`, or the beginning of it.")],
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask why one read of your history took place; the data protection officer answers in words."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        asked = wallet.ask_right("explanation", organisation=org, event=_meant(wallet, org, event))
        _told(desk, asked, wallet.names(desk.language, online=False))


@app.command(epilog="Example: fieldgrant wallet request correct contact.phone address.city")
def correct(
    fields: Annotated[list[str], typer.Argument(help="Fields to correct; you are asked for each value.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE instead of being asked; others on this machine may see it."),
    ] = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose right values, sealed so that only the organisation's records open them."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        given = dict(one.partition("=")[::2] for one in values or ())
        for field in fields:
            if field not in given:
                asked = desk.say("right_value", field=wallet.names(desk.language).both(field))
                given[field] = str(typer.prompt(str(render.plain(asked)), err=True))
        _told(
            desk,
            wallet.ask_right("rectification", organisation=org, values=given),
            wallet.names(desk.language, online=False),
        )


@app.command(epilog="Example: fieldgrant wallet request erase --yes")
def erase(
    yes: YesOption = False,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """End every consent and every ground that may end. What the law makes the organisation keep is told to you."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        effect = desk.say("erase_effect", organisation=wallet.holding(org).controller)
        typer.echo(str(render.plain(effect)), err=True)
        if not yes and not typer.confirm(desk.say("erase_ask"), default=False, err=True):
            desk.tell({"erased": False}, "kept")
            return
        _told(desk, wallet.ask_right("erasure", organisation=org), wallet.names(desk.language, online=False))


@app.command(name="object", epilog="Example: fieldgrant wallet request object DirectMarketing")
def object_(
    purpose: Annotated[str, typer.Argument(help="The purpose: its name as `show --online` has it, or its IRI.")],
    ground: Annotated[str | None, typer.Option(help="One ground only: its id, or the beginning of it.")] = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Object to a use without your consent: held back at once; for direct marketing it ends at once."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        iri, id_ = _aimed(wallet, org, purpose, ground)
        _told(
            desk,
            wallet.ask_right("objection", organisation=org, purpose=iri, ground=id_),
            wallet.names(desk.language, online=False),
        )


@app.command(epilog="Example: fieldgrant wallet request restrict")
def restrict(
    org: OrgOption = None, path: PathOption = DEFAULT_PATH, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Have every use without your consent held back, but what the law demands, while something is looked into."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        _told(desk, wallet.ask_right("restriction", organisation=org), wallet.names(desk.language, online=False))


def requests_(
    org: OrgOption = None, path: PathOption = DEFAULT_PATH, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """What you asked for: where each request stands and until when it is to be answered."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        found = wallet.requests(org)
        desk.show({"requests": found}, _table(desk, found) if found else render.plain(desk.say("no_requests")))


def open_(
    request: Annotated[str, typer.Argument(help="The request's id, or the beginning of it.")],
    out: OutOption = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch and open the answer to a request for a copy; within seven days as often as you like."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        _copied(desk, wallet.copy(request, org), out, wallet)


def open_answer(
    file: Annotated[Path, typer.Argument(help="The file that you were given or sent.")],
    out: OutOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open an answer in a file, without a wallet: you get its passphrase from somebody else at the organisation."""
    with at_desk(lang, as_json) as desk:
        secret = desk.secret(ANSWER_PASSPHRASE, "passphrase_answer")
        _copied(desk, requests.open_file(file.expanduser(), secret), out)


def add_to(wallet: typer.Typer) -> None:
    """Put these commands into the wallet's own."""
    wallet.add_typer(app)
    wallet.command("requests", epilog="Example: fieldgrant wallet requests --json")(requests_)
    wallet.command("open", epilog="Example: fieldgrant wallet open 3f2a91c0 --out ~/my-data")(open_)
    wallet.command("open-answer", epilog="Example: fieldgrant wallet open-answer answer.fieldgrant --out ~/my-data")(
        open_answer
    )


def _aimed(wallet: Wallet, org: str | None, purpose: str, ground: str | None) -> tuple[str, str | None]:
    """The purpose's IRI and the ground's id, out of what the organisation claims. WalletError."""
    claimed = wallet.grounds(org)
    id_ = None
    if ground is not None:
        fitting = [one.id for one in claimed if ground == one.id or (len(ground) >= 4 and ground in one.id)]
        if len(fitting) != 1:
            raise WalletError("unknown_ground", "no such ground, or more than one; `show --online` lists them")
        id_ = str(fitting[0])
    known = {offer.short(process.purpose): str(process.purpose) for one in claimed for process in one.processes}
    iri = known.get(purpose) or (purpose if ":" in purpose else f"https://w3id.org/dpv#{purpose}")
    return iri, id_


def _meant(wallet: Wallet, org: str | None, reference: str) -> str:
    """The event of the history that fits; one beyond its newest page is named in full. WalletError."""
    listed = [str(one.get("event")) for one in wallet.history(org, limit=200).items]
    fitting = {one for one in listed if len(reference) >= 4 and reference in one}
    if len(fitting) > 1:
        raise WalletError("ambiguous", "more than one entry fits; write more of it")
    if not fitting and not reference.startswith("urn:uuid:"):
        raise WalletError("unknown_read", "there is no such entry; `fieldgrant wallet history` lists them")
    return next(iter(fitting), reference)


def _told(desk: Desk, asked: Asked, names: Names) -> None:
    """What was asked and where it stands; what stays of an erasure, and why."""
    lines = [
        desk.say(
            "asked", kind=said(desk.language, asked.kind), id=render.short(asked.id),
            state=said(desk.language, asked.state), due=render.day(asked.due),
        )
    ]  # fmt: skip
    lines += [_kept(desk, one, names) for one in asked.last.kept]
    desk.show(asked, render.plain("\n".join(lines)))


def _kept(desk: Desk, one: Any, names: Names) -> str:
    because = one.citation if one.reason is None else f"{one.citation}; {one.reason}"
    return desk.say("stays", fields=", ".join(sorted(map(names.field, one.fields))), because=because)


def _copied(desk: Desk, copy: Copy, out: Path | None, wallet: Wallet | None = None) -> None:
    """Write the answer, or show it."""
    if out is not None:
        written = requests.save(copy, out.expanduser())
        named = [str(one) for one in written]
        desk.tell({"files": named}, "copied", files=", ".join(named))
        return
    names = Names(desk.language) if wallet is None else wallet.names(desk.language, online=False)
    desk.show(copy.document, _values(desk, copy, names))


def _values(desk: Desk, copy: Copy, names: Names) -> RenderableType:
    document = copy.document
    rows = document.get("fields") or document.get("data", {}).get("values") or []
    table = render.sheet(desk.language, "fields", "value", "source")
    for row in rows:
        came = row.get("provenance") or [{}]
        value = row.get("value")
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        table.add_row(
            render.plain(names.field(str(row.get("field")))),
            render.plain(shown),
            render.plain(came[-1].get("source", "")),
        )
    more = desk.say("more_in_files")
    return Group(table, Text(more))


def _table(desk: Desk, found: tuple[Asked, ...]) -> RenderableType:
    table = render.sheet(desk.language, "request", "what", "standing", "answer_by", "because")
    for one in found:
        because = " ".join(filter(None, (one.last.explanation, one.last.reason, one.last.citation)))
        what, standing = said(desk.language, one.kind), said(desk.language, one.state)
        row = (render.short(one.id), what, standing, render.day(one.due), because)
        table.add_row(*(render.plain(cell) for cell in row))
    return table
