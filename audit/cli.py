"""The audit's terminal: `export` (needs the platform, handed in by composition) and `verify` (needs nothing)."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from audit.bundle import Credentials
    from runtime.platform import Platform


def build_app(
    *,
    open_platform: "Callable[[Path, Path], Platform] | None" = None,
    credentials: "Credentials | None" = None,
) -> typer.Typer:
    """The typer app; without `open_platform` (data directory, keys directory) and `credentials` it has `verify` only."""
    raise NotImplementedError
