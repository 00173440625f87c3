"""Another process of the same platform that takes a withdrawal: prints when it began and when it was over."""

import json
import sys
import time

from fieldgrant import compose
from protocol import canonical
from protocol.times import parse
from runtime.clock import FixedClock
from runtime.platform import Platform
from runtime.settings import Settings


def main() -> None:
    """Settings, clock and signed withdrawals by lines of standard input."""
    told = json.loads(sys.stdin.readline())
    platform = Platform.open(Settings(**told["settings"]), FixedClock(parse(told["at"], field="at")))
    registry = compose.house(platform).registry
    print("ready", flush=True)
    for line in sys.stdin:
        document = json.loads(line)
        began = time.time()
        registry.withdraw(canonical.jcs(document), document["issuer"])
        print(json.dumps([began, time.time()]), flush=True)
    platform.close()


if __name__ == "__main__":
    main()
