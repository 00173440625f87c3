"""The customer's terminal: ``fieldgrant wallet …``."""
# ruff: noqa: PLR0917 - typer turns each parameter into an option

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer

from protocol.consent import Process
from wallet import disposed_cli, render, requests_cli
from wallet.desk import BACKUP_PASSPHRASE, PASSPHRASE, at_desk
from wallet.errors import WalletError
from wallet.help import Spoken
from wallet.holding import own_consent
from wallet.names import Names
from wallet.options import DEFAULT_PATH, JsonOption, LangOption, OrgOption, PathOption, YesOption, opened
from wallet.wallet import Wallet, now
from wallet.words import say

app = typer.Typer(
    name="wallet",
    cls=Spoken,
    no_args_is_help=True,
    help="Your own keys: answer what organisations ask, withdraw, and see who read what.",
    epilog=(
        "Begin with: fieldgrant wallet init, then fieldgrant wallet enrol 'fieldgrant://enrol?…'. The passphrase is "
        "asked for; a program sets FIELDGRANT_WALLET_PASSPHRASE, and FIELDGRANT_WALLET_BACKUP_PASSPHRASE for a backup."
    ),
)

FieldsOption = Annotated[
    str | None, typer.Option("--fields", help="Fields to allow, comma-separated; PURPOSE:FIELD with several purposes.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Last day, e.g. 2027-05-21; else as long as asked.")]


def _until(text: str | None, latest: datetime) -> datetime | None:
    """The last second of a day, or the latest that is offered on that very day."""
    if text is None:
        return None
    try:
        last = datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(23, 59, 59), UTC)
    except ValueError:
        raise WalletError("bad_date", "write the day as 2027-05-21", field="until") from None
    return min(last, latest) if last.date() == latest.date() else last


def _ticked(names: Names, fields: str | None, processes: tuple[Process, ...]) -> list[str]:
    """What the owner ticks, field by field; nothing is ticked beforehand."""
    if fields is not None:
        return [field.strip() for field in fields.split(",") if field.strip()]
    ticked = []
    for process in processes:
        for field in sorted(process.fields):
            purpose = f"{names.purpose(process.purpose)} ({render.done(process, names.language)})"
            question = str(render.plain(say(names.language, "tick", field=names.both(field), purpose=purpose)))
            if typer.confirm(question, default=False, err=True):
                ticked.append(f"{process.purpose}:{field}")
    return ticked


@app.command(epilog="Example: fieldgrant wallet init --wallet ~/my.wallet")
def init(path: PathOption = DEFAULT_PATH, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """Make a new wallet, sealed under a passphrase."""
    with at_desk(lang, as_json) as desk:
        path = path.expanduser()
        secret = desk.secret(PASSPHRASE, "passphrase_new", confirm=True)
        Wallet.create(path, secret).close()
        desk.tell({"wallet": str(path)}, "made", path=path)


@app.command(epilog="Example: fieldgrant wallet enrol 'fieldgrant://enrol?issuer=…&token=…&did=…&document=…'")
def enrol(
    link: Annotated[str, typer.Argument(help="The invitation link, as it came by mail.")],
    code: Annotated[
        str | None,
        typer.Option(
            "--code",
            help="The code that you get at the desk; one sent by phone is asked for (each start sends a new one).",
        ),
    ] = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept an invitation: a new DID for this organisation alone, and the code from the second channel."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:

        def ask(channel: str) -> str:
            return code or str(typer.prompt(str(render.plain(desk.say("code", channel=channel))), err=True))

        holding = wallet.enrol(link, ask)
        told = {"organisation": holding.controller, "did": holding.did}
        desk.tell(told, "enrolled", **told)


@app.command(epilog="Example: fieldgrant wallet asks --lang zh-CN")
def asks(
    org: OrgOption = None, path: PathOption = DEFAULT_PATH, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Show what is asked of you: purpose, fields, who, where, how long, and the notice."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        offers, rejected = wallet.asks(org)
        shown = render.offers(offers, wallet.names(desk.language)) if offers else render.plain(desk.say("no_asks"))
        desk.show({"asks": offers, "rejected": rejected}, shown)
        for one in rejected:
            line = desk.say("rejected", id=one.id, code=one.code, detail=one.detail)
            typer.echo(str(render.plain(line)), err=True)


@app.command(
    epilog="Example: fieldgrant wallet consent 3f2a91c0 --fields contact.email,address.city --until 2027-05-21"
)
def consent(
    ask: Annotated[str, typer.Argument(help="The ask's id, or the beginning of it.")],
    fields: FieldsOption = None,
    until: UntilOption = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Allow exactly the fields that you tick, for as long as you say."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        found = wallet.ask(ask, org)
        names = wallet.names(desk.language, online=fields is None)
        if fields is None and not as_json:
            render.console().print(render.offers([found], names))
        ticked = _ticked(names.of(found.ask.controller), fields, found.ask.processes)
        receipt = wallet.consent(found.ask.id, ticked, until=_until(until, found.ask.latest_until), organisation=org)
        desk.tell(receipt, "given", id=_about(receipt))


@app.command(epilog="Example: fieldgrant wallet narrow 77b01e2d --fields address.city")
def narrow(
    consent: Annotated[str, typer.Argument(help="The consent's id, or the beginning of it.")],
    fields: FieldsOption = None,
    until: UntilOption = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep only the fields that you tick; the rest of the consent ends in the same step."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        old = wallet.given(consent, org)
        names = wallet.names(desk.language, online=fields is None)
        ticked = _ticked(names.of(old.controller), fields, old.processes)
        receipt = wallet.narrow(old.id, ticked, until=_until(until, old.valid_until), organisation=org)
        desk.tell(receipt, "narrowed", id=_about(receipt))


@app.command(epilog="Example: fieldgrant wallet withdraw 77b01e2d --yes")
def withdraw(
    consent: Annotated[str, typer.Argument(help="The consent's id, or the beginning of it.")],
    yes: YesOption = False,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a consent. When this returns, nothing is read under it any more."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        old = wallet.given(consent, org)
        names = wallet.names(desk.language, online=False).of(old.controller)
        fields = ", ".join(sorted({names.field(field) for process in old.processes for field in process.fields}))
        effect = desk.say("withdraw_effect", organisation=old.controller, fields=fields)
        typer.echo(str(render.plain(effect)), err=True)
        if not yes and not typer.confirm(desk.say("withdraw_ask"), default=False, err=True):
            desk.tell({"withdrawn": False}, "kept")
            return
        receipt = wallet.withdraw(old.id, org)
        desk.tell(receipt, "withdrawn", shut=render.day(receipt.shut_at))


@app.command(epilog="Example: fieldgrant wallet refuse 3f2a91c0")
def refuse(
    ask: Annotated[str, typer.Argument(help="The ask's id, or the beginning of it.")],
    yes: YesOption = False,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say no to a whole ask, on record."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        if not yes and not typer.confirm(desk.say("refuse_ask"), default=False, err=True):
            desk.tell({"refused": False}, "kept")
            return
        desk.tell(wallet.refuse(ask, org), "refused")


@app.command(epilog="Example: fieldgrant wallet history --limit 20 --json")
def history(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many entries.")] = 50,
    before: Annotated[str | None, typer.Option(help="Continue after an earlier page.")] = None,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who read what of yours, when and what for; refused attempts too."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        page = wallet.history(org, limit=limit, before=before)
        shown = (
            render.history(page.items, wallet.names(desk.language))
            if page.items
            else render.plain(desk.say("no_history"))
        )
        desk.show(page, shown)
        if page.next is not None and not as_json:
            typer.echo(desk.say("more", next=page.next))


@app.command(epilog="Example: fieldgrant wallet receipts --json > receipts.json")
def receipts(
    org: OrgOption = None, path: PathOption = DEFAULT_PATH, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """The organisation's signed answers to what you decided, and certificates of what became of your data."""
    with at_desk(lang, as_json) as desk, opened(desk, path) as wallet:
        found, certified = wallet.receipts(org), wallet.certificates(org)
        empty = render.plain(desk.say("no_receipts"))
        shown = render.record(found, certified, wallet.names(desk.language)) or empty
        desk.show({"receipts": found, "certificates": certified}, shown)


@app.command(epilog="Example: fieldgrant wallet backup ~/wallet-2026-11.backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The backup's file; it must not exist.")],
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything, keys included, into a file sealed under a passphrase of its own."""
    with (
        at_desk(lang, as_json) as desk,
        opened(desk, path, resume=False) as wallet,
    ):
        wallet.backup(file.expanduser(), desk.secret(BACKUP_PASSPHRASE, "passphrase_backup_new", confirm=True))
        desk.tell({"backup": str(file)}, "backed_up", path=file)


@app.command(epilog="Example: fieldgrant wallet restore ~/wallet-2026-11.backup --wallet ~/new.wallet")
def restore(
    file: Annotated[Path, typer.Argument(help="The backup's file.")],
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a wallet out of a backup, where there is none yet."""
    with at_desk(lang, as_json) as desk:
        old = desk.secret(BACKUP_PASSPHRASE, "passphrase_backup")
        new = desk.secret(PASSPHRASE, "passphrase_new", confirm=True)
        Wallet.restore(path.expanduser(), file.expanduser(), old, new).close()
        desk.tell({"wallet": str(path)}, "restored", path=path)


@app.command(epilog="Example: fieldgrant wallet show --online")
def show(
    online: Annotated[bool, typer.Option("--online", help="Also ask the organisation: later ends, grounds.")] = False,
    org: OrgOption = None,
    path: PathOption = DEFAULT_PATH,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Organisations, your consents and how each stands."""
    with (
        at_desk(lang, as_json) as desk,
        opened(desk, path, resume=False) as wallet,
    ):
        listed = [wallet.refresh(org) if online else wallet.holding(org)] if org or online else list(wallet.holdings)
        rows = [(one, [(own_consent(one, held, at=now()), held.standing) for held in one.consents]) for one in listed]
        claimed = wallet.grounds(org) if online else ()
        told = {"organisations": [render.summary(*row) for row in rows], "grounds": claimed}
        desk.show(told, render.overview(rows, claimed, wallet.names(desk.language, online=online)))


def _about(receipt: Any) -> str:
    return render.short(receipt.consent.id) if receipt.consent is not None else ""


requests_cli.add_to(app)
app.command("fate", epilog="Example: fieldgrant wallet fate --lang zh-CN")(disposed_cli.fate)
