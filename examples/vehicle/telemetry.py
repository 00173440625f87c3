"""A vehicle's backend: telemetry is queued sealed while the car is out of reach, and sent in batches when it is not.

    FG_BASE=https://crm.example.com FG_KEY=car.key FG_SUBJECT=did:key:… FG_CONSENT=urn:uuid:… \
    python examples/vehicle/telemetry.py --queue /var/lib/car/queue < readings.jsonl

Each line of the input is one reading: {"vehicle.mileage": 12034, "vehicle.battery_level": 81}. What the customer no
longer consents to is refused by the gateway, by name, and leaves the queue: it is not stored anywhere.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from fieldgrant.touchpoint import Ed25519Signer, Flushed, Touchpoint

PURPOSE = "https://w3id.org/dpv#TechnicalServiceProvision"

SETTINGS = ("FG_BASE", "FG_KEY", "FG_SUBJECT", "FG_CONSENT")


def drive(touchpoint: Touchpoint, readings: Iterable[str], *, subject: str, consent: str) -> Flushed:
    """Queue every reading first, then send what waits. Raises what `enqueue` and `flush` raise."""
    for line in readings:
        if line.strip():
            values = json.loads(line)
            touchpoint.enqueue({"subject": subject, "ground": consent, "purpose": PURPOSE, "values": values})
    return touchpoint.flush()


def main() -> int:
    """Exit status 0 when all was stored, 1 when something was refused, 3 when something waits."""
    options = argparse.ArgumentParser(description="Send a vehicle's telemetry.")
    options.add_argument("--queue", type=Path, required=True)
    queue = options.parse_args().queue
    if missing := [name for name in SETTINGS if name not in os.environ]:
        sys.exit(f"set {', '.join(missing)}: the first lines of this file show how")
    seed = bytes.fromhex(json.loads(Path(os.environ["FG_KEY"]).read_text(encoding="ascii"))["seed"])
    with Touchpoint(os.environ["FG_BASE"], Ed25519Signer(seed), queue_dir=queue) as touchpoint:
        about = {"subject": os.environ["FG_SUBJECT"], "consent": os.environ["FG_CONSENT"]}
        done = drive(touchpoint, sys.stdin, **about)
    refused = [one for one in done.outcomes if one.status >= 400]
    for one in refused:
        print(f"{one.id}: {one.code} {dict(one.refused)}", file=sys.stderr)
    print(f"sent {len(done.outcomes)}, refused {len(refused)}, waiting {done.left}")
    return 1 if refused else 3 if done.left else 0


if __name__ == "__main__":
    sys.exit(main())
