"""The worker: compiles allowances anew where time alone has changed the answer."""

import logging
import threading

from issuer.catalogue import Catalogue
from runtime.platform import Platform
from verifier import allowance

INTERVAL = 1.0  # seconds; how long a subject whose grounds changed by time may stay denied

_log = logging.getLogger("fieldgrant.verifier")


def run(platform: Platform, catalogue: Catalogue, stop: threading.Event, *, interval: float = INTERVAL) -> None:
    """Loop until `stop` is set. Reads past their `next_change_at` are denied meanwhile, so falling behind is safe."""
    while not stop.is_set():
        try:
            allowance.compile_due(platform, catalogue)
        except Exception as error:  # noqa: BLE001 - a worker's loop: what failed is tried again, and reads stay denied
            _log.warning("allowances could not be compiled: %s", type(error).__name__)
        stop.wait(interval)
