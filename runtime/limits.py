"""Rate limits, held in memory per process."""

import hashlib
import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from runtime.problem import Problem


class RateLimit:
    """So many acts per key and span, e.g. `RateLimit("10/minute")`. Counts of past spans are forgotten."""

    def __init__(self, rate: str) -> None:
        """`rate` in the notation of the `limits` package. ValueError."""
        self._rate = parse(rate)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def hit(self, key: str, *, cost: int = 1) -> None:
        """Count one act, or `cost` of them. Raises Problem(429, "too_many_requests") with Retry-After in seconds."""
        short = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()  # keys may be long, or tokens
        if self._limiter.hit(self._rate, short, cost=cost):
            return
        reset = self._limiter.get_window_stats(self._rate, short).reset_time
        wait = max(1, math.ceil(reset - time.time()))
        raise Problem(
            429, "too_many_requests", f"too many requests; again in {wait} s", headers={"retry-after": str(wait)}
        )
