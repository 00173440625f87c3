"""The audit's terminal: `verify` needs nothing but the bundle; `export` and `key` need the platform, handed in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from audit import container, verify
from audit.report import Outcome, Report

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from audit.bundle import Credentials
    from runtime.platform import Platform

    OpenPlatform = Callable[[Path | None, Path | None], AbstractContextManager[Platform]]

_STYLE = {Outcome.OK: "green", Outcome.FAILED: "red", Outcome.INCOMPLETE: "yellow"}
_VERDICT = {0: "valid", 1: "INVALID", 2: "incomplete"}
DataDir = Annotated[Path | None, typer.Option("--data", help="The platform's data directory.")]
KeysDir = Annotated[Path | None, typer.Option("--keys", help="The platform's key directory; default: beside the data.")]


def build_app(*, open_platform: "OpenPlatform | None" = None, credentials: "Credentials | None" = None) -> typer.Typer:
    """The typer app. Without `open_platform` (data directory, keys directory) and `credentials`: `verify` alone."""
    app = typer.Typer(help="Follow what became of a value, and prove it.", no_args_is_help=True)
    app.callback()(lambda: None)  # keeps `verify` a command of its own when it is the only one
    app.command("verify", epilog="Example: fieldgrant audit verify bundle.zip --log-key log.vkey")(check)
    if open_platform is not None and credentials is not None:
        _platform_commands(app, open_platform, credentials)
    return app


def check(
    bundle: Annotated[Path, typer.Argument(help="The bundle (zip).")],
    log_key: Annotated[str, typer.Option("--log-key", help="The log's verifier key: a file, or the key itself.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Verify a bundle offline. Exit status: 0 valid, 1 invalid, 2 incomplete."""
    try:
        with bundle.open("rb") as file:
            data = file.read(2 * container.MAX_BUNDLE)
        key = Path(log_key).read_text(encoding="utf-8") if _is_file(log_key) else log_key
    except (OSError, UnicodeError) as error:
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else "the key is not text"
        typer.echo(f"cannot read the bundle or the key: {why}", err=True)
        raise typer.Exit(1) from None
    report = verify.verify(data, key)
    if as_json:
        typer.echo(json.dumps(_as_json(report), ensure_ascii=False, indent=2))
    else:
        _print(report)
    raise typer.Exit(report.status)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _platform_commands(app: typer.Typer, open_platform: "OpenPlatform", credentials: "Credentials") -> None:
    @app.command("export", epilog="Example: fieldgrant audit export --subject sub_… --field contact.email bundle.zip")
    def export(
        subject: Annotated[str, typer.Option("--subject", help="The subject's reference, sub_…")],
        out: Annotated[Path, typer.Argument(help="Where to write the zip.")],
        data: DataDir = None,
        keys: KeysDir = None,
        field: Annotated[str | None, typer.Option("--field", help="Only what concerns this field.")] = None,
    ) -> None:
        """Write the evidence bundle of one subject. The export goes on record."""
        # Imported here: `verify` has to run where the platform's parts are not.
        from audit import bundle, files  # noqa: PLC0415
        from audit.log import Log  # noqa: PLC0415
        from protocol.consent import Field, SubjectId  # noqa: PLC0415

        name = None if field is None else Field(field)
        with open_platform(data, keys) as platform:
            content = bundle.export(
                Log(platform), credentials, subject=SubjectId(subject), field=name, by="terminal", role="admin"
            )
            files.write(out.resolve(), content)
        typer.echo(f"{out}: {len(content)} bytes")

    @app.command("key", epilog="Example: fieldgrant audit key > log.vkey")
    def key(data: DataDir = None, keys: KeysDir = None) -> None:
        """Print the log's verifier key, to be given to auditors by a way of its own."""
        from audit.log import Log  # noqa: PLC0415

        with open_platform(data, keys) as platform:
            typer.echo(Log(platform).vkey)


def _print(report: Report) -> None:
    table = Table("check", "outcome", "code", "detail")
    for one in report.checks:
        outcome = f"[{_STYLE[one.outcome]}]{one.outcome}[/]"
        table.add_row(one.name, outcome, one.code or "", _plain(one.detail))
    console = Console()
    console.print(table)
    console.print(f"The bundle is {_VERDICT[report.status]}.")


def _plain(text: str) -> str:
    """Text out of a bundle, for a terminal: no markup, no control characters."""
    return "".join(char if char.isprintable() else "?" for char in text).replace("[", "\\[")


def _as_json(report: Report) -> dict[str, object]:
    return {
        "status": report.status,
        "verdict": _VERDICT[report.status].lower(),
        "checks": [
            {"name": one.name, "outcome": one.outcome, "code": one.code, "detail": one.detail} for one in report.checks
        ],
    }


app = build_app()
