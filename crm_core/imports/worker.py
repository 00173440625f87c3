"""The loop that takes back imports which broke off, whoever ran them, and sees to what others were to be gone by."""

import logging
import threading

from crm_core.imports import recall
from crm_core.imports import run as import_run
from crm_core.imports import undo as import_undo
from protocol.errors import EvidenceError
from runtime.platform import Platform

PAUSE = 5.0  # seconds
_log = logging.getLogger("fieldgrant.import")


def run(platform: Platform, stop: threading.Event) -> None:
    """Look until told to stop, first at once."""
    while True:
        try:
            step(platform)
        except Exception as error:  # noqa: BLE001 - a worker's loop; the next pass tries again
            _log.error("undoing an import failed: %s", type(error).__qualname__)
        if stop.wait(PAUSE):
            return


def step(platform: Platform) -> int:
    """Take back what broke off, unless an import is under way; how many runs were. Old boxes are forgotten."""
    at = platform.clock.now()
    with platform.database.read() as session:
        old = import_run.prunable(session, at)
    if old:
        with platform.database.write("keeper") as session:
            import_run.prune(session, at)
    recall.some(platform, at)
    if not import_undo.pending(platform):
        return 0
    try:
        with import_undo.alone(platform):
            return len(import_undo.sweep(platform))
    except EvidenceError as error:
        if error.code == "import_running":
            return 0
        raise
