"""Rate limits, held in memory per process."""


class RateLimit:
    """So many acts per key and span, e.g. `RateLimit("10/minute")`."""

    def __init__(self, rate: str) -> None:
        """`rate` in the notation of the `limits` package. ValueError."""
        raise NotImplementedError

    def hit(self, key: str) -> None:
        """Count one act. Raises Problem(429, "too_many_requests") with Retry-After in seconds."""
        raise NotImplementedError
