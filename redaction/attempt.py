"""One step of the worker, and what it failed with: a row that somebody wrote by hand may raise anything at all.

It must not stop the steps beside it, which have nothing to do with that row.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from runtime.clock import ClockError

LOG: Final = logging.getLogger(__name__)
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


def or_else(ask: Callable[[], T], else_: T) -> T:
    """What a question was answered, or what to go on with where it failed. Raises ClockError alone."""
    done = tried(ask)
    if isinstance(done, Failed):
        LOG.error("a question before a step failed: %s", type(done.error).__name__)
        return else_
    return done
