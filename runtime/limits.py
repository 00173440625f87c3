"""Rate limits, held in memory per process."""

import hashlib
import math
import threading
import time

from limits import parse

from runtime.problem import Problem

_SWEEP = 10_000  # keys after which those whose span is over are forgotten


class RateLimit:
    """So many acts per key and span, e.g. `RateLimit("10/minute")`. Counts of past spans are forgotten.

    A span begins with the first act of a key. Counted here, and not in the storage of the `limits` package, which
    starts a thread for almost every act.
    """

    def __init__(self, rate: str) -> None:
        """`rate` in the notation of the `limits` package. ValueError."""
        parsed = parse(rate)
        self._most, self._span = parsed.amount, parsed.get_expiry()
        self._counts: dict[bytes, tuple[float, int]] = {}  # key → when its span ends, acts
        self._lock = threading.Lock()
        self._sweep_at = _SWEEP

    def hit(self, key: str, *, cost: int = 1) -> None:
        """Count one act, or `cost` of them. Raises Problem(429, "too_many_requests") with Retry-After in seconds."""
        short = hashlib.blake2b(key.encode(), digest_size=16).digest()  # keys may be long, or tokens
        now = time.monotonic()
        with self._lock:
            end, count = self._counts.get(short, (0.0, 0))
            if end <= now:
                end, count = now + self._span, 0
            count += cost
            self._counts[short] = end, count
            if len(self._counts) >= self._sweep_at:
                self._counts = {known: it for known, it in self._counts.items() if it[0] > now}
                self._sweep_at = max(_SWEEP, 2 * len(self._counts))
        if count > self._most:
            wait = max(1, math.ceil(end - now))
            raise Problem(
                429, "too_many_requests", f"too many requests; again in {wait} s", headers={"retry-after": str(wait)}
            )
