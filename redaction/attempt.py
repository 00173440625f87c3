"""One step of the worker, and what it failed with: a row that somebody wrote by hand may raise anything at all.

It must not stop the steps beside it, which have nothing to do with that row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from runtime.clock import ClockError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failed:
    """A step that failed, and with what."""

    error: Exception


def tried(act: Callable[[], T]) -> T | Failed:
    """What the step made. Raises ClockError alone: a clock that cannot be believed stops every step."""
    try:
        return act()
    except ClockError:
        raise
    except Exception as error:  # noqa: BLE001 - the worker's loop must outlive whatever one step meets
        return Failed(error)
