"""The client of a touchpoint: signs, sends, tries again, and keeps in a sealed queue what cannot be sent now.

It logs ids and codes, never a value. Each upload has an id of its own from the start, so that sending it twice after
a broken connection stores it once.
"""

import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from fieldgrant.touchpoint.queue import SealedQueue, Waiting
from protocol import canonical, signature, times
from protocol.errors import EvidenceError
from protocol.keys import Signer
from protocol.vocabulary import fresh_id

LOG: Final = logging.getLogger(__name__)
BATCH: Final = 100
BATCH_BYTES: Final = 900_000
TRIES: Final = 5
FIRST_WAIT, LONGEST_WAIT, LONGEST_TOLD = 0.5, 60.0, 300.0  # seconds
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_TOO_MUCH: Final = frozenset({"too_many_uploads", "too_large"})
_LOCAL: Final = ("localhost", "127.0.0.1")
_SKEW: Final = timedelta(seconds=5)


class TouchpointError(Exception):
    """The gateway cannot be reached, or refused a request as a whole. `code` is its own, or `unreachable`."""

    def __init__(self, code: str, detail: str, *, transient: bool = False) -> None:
        super().__init__(detail)
        self.code, self.detail, self.transient = code, detail, transient


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one upload. `status`: 200 stored, 202 held by the gateway, 0 waiting in our queue, else refused."""

    id: str
    status: int
    stored: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    subject: str | None = None

    @property
    def queued(self) -> bool:
        """Does it wait here?"""
        return self.status == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """What a `flush` did: the outcomes of what was answered for good, how many wait on, and files that do not open."""

    outcomes: tuple[Outcome, ...]
    left: int
    set_aside: tuple[str, ...]


class Touchpoint:
    """Uploads to one organisation's gateway under one key."""

    def __init__(
        self,
        base_url: str,
        signer: Signer,
        *,
        queue_dir: Path | None = None,
        queue_key: bytes | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        timeout: float = 30.0,
    ) -> None:
        """`base_url` is the organisation's; without `queue_dir` nothing is kept. ValueError for plain http elsewhere.

        `queue_key`: 32 bytes; left out: derived from the signer.
        """
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
            raise ValueError("values are sent over https only")
        self._url = f"{base_url.rstrip('/')}/crm/ingest"
        self._signer, self._clock, self._sleep = signer, clock, sleep
        self._http = httpx.Client(transport=transport, timeout=timeout, follow_redirects=False)
        self._ahead = timedelta()  # of the gateway's clock over ours
        self.queue = None if queue_dir is None else SealedQueue(queue_dir, queue_key or SealedQueue.key_of(signer))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Touchpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> datetime:
        """The time as the gateway has it, as far as its answers have told."""
        return self._clock() + self._ahead

    def send(self, upload: Mapping[str, Any]) -> Outcome:
        """Send one upload now; where the gateway cannot be reached it waits in the queue.

        TouchpointError when there is no queue, or the request itself is refused; QueueError, OSError.
        """
        ready = self._ready(upload)
        try:
            return self._post([ready])[0]
        except TouchpointError as error:
            if not error.transient or self.queue is None:
                raise
            self.queue.put(ready)
            return Outcome(id=ready["id"], status=0)

    def enqueue(self, upload: Mapping[str, Any]) -> str:
        """Put an upload into the queue without trying to send it; its id. TouchpointError, QueueError, OSError."""
        ready = self._ready(upload)
        self._needed_queue().put(ready)
        return str(ready["id"])

    def flush(self) -> Flushed:
        """Send what waits, oldest first, until nothing is left or the gateway cannot be reached.

        What it answers for good, a refusal too, leaves the queue. TouchpointError when it refuses us as a whole.
        """
        queue, outcomes, size = self._needed_queue(), [], BATCH
        with queue.sending() as ours:
            while ours and (waiting := queue.peek(size)):
                batch = _fitting([one.upload for one in waiting])
                try:
                    answered = self._post(batch)
                except TouchpointError as error:
                    if error.code in _TOO_MUCH and len(batch) > 1:
                        size = len(batch) // 2
                        continue
                    if error.code not in _TOO_MUCH:
                        if error.transient:
                            break
                        raise
                    answered = [Outcome(id=str(batch[0]["id"]), status=413, code=error.code)]  # alone too large
                done = [one for one in answered if one.status not in _TRANSIENT]
                self._forget(queue, waiting, done)
                outcomes += done
                if len(done) < len(answered):
                    break
        return Flushed(outcomes=tuple(outcomes), left=len(queue), set_aside=tuple(queue.set_aside()))

    @staticmethod
    def _forget(queue: SealedQueue, waiting: Sequence[Waiting], done: Sequence[Outcome]) -> None:
        by_id = {str(one.upload["id"]): one.name for one in waiting}
        for one in done:
            queue.remove(by_id[one.id])

    def _needed_queue(self) -> SealedQueue:
        if self.queue is None:
            raise TouchpointError("no_queue", "this touchpoint has no queue_dir")
        return self.queue

    def _ready(self, upload: Mapping[str, Any]) -> dict[str, Any]:
        return {"id": fresh_id(), "collected_at": times.iso(self.now()), **upload}

    def _post(self, uploads: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Send a batch, with as many tries as it takes. TouchpointError."""
        try:
            body = canonical.jcs({"uploads": list(uploads)})
        except EvidenceError as error:
            raise TouchpointError(error.code, "an upload cannot be written as JSON") from None
        key, wait = secrets.token_urlsafe(24), 0.0
        last = TouchpointError("unreachable", "the gateway cannot be reached", transient=True)
        corrected = False
        for number in range(TRIES):
            if number:
                self._sleep(wait)
            answer = self._once(body, key)
            if answer is None:
                wait = backoff(number)
                continue
            if answer.status_code in (200, 202, 207, 422) and (read := _outcomes(answer, uploads)) is not None:
                return read
            code = _code(answer)
            if code == "stale_signature" and not corrected:
                corrected, wait = True, 0.0  # our clock was wrong; by the answer's Date it is right now
                continue
            transient = answer.status_code in _TRANSIENT
            last = TouchpointError(code, f"the gateway refused the request: {code}", transient=transient)
            if not transient:
                raise last
            wait = max(backoff(number), told_wait(answer))
        LOG.warning("could not be sent: %s (uploads: %d)", last.code, len(uploads))
        raise last

    def _once(self, body: bytes, key: str) -> httpx.Response | None:
        """One signed request; None when no answer came."""
        nonce = secrets.token_urlsafe(18)
        signed = signature.sign_request("POST", self._url, {}, body, self._signer, created=self.now(), nonce=nonce)
        headers = {"content-type": "application/json", "idempotency-key": key, **signed}
        try:
            answer = self._http.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            LOG.info("no answer: %s", type(error).__name__)
            return None
        self._look_at_clock(answer)
        return answer

    def _look_at_clock(self, answer: httpx.Response) -> None:
        try:
            told = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
        except ValueError:
            return
        ahead = told - self._clock()
        self._ahead = ahead if abs(ahead) > _SKEW else timedelta()


def backoff(number: int, random_: Callable[[], float] = random.random) -> float:
    """Seconds to wait after the try of this number (from 0): doubling, with jitter, so that not all come at once."""
    most: float = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
    return most / 2 + most / 2 * random_()


def told_wait(answer: httpx.Response) -> float:
    """Seconds of a Retry-After, at most five minutes; 0 where there is none."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST_TOLD) if text.isascii() and text.isdecimal() else 0.0


def _fitting(uploads: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As many from the front as a request may hold, and at least one."""
    taken: list[Mapping[str, Any]] = []
    size = 0
    for one in uploads:
        size += len(canonical.jcs(one)) + 1
        if taken and size > BATCH_BYTES:
            break
        taken.append(one)
    return taken


def _outcomes(answer: httpx.Response, uploads: Sequence[Mapping[str, Any]]) -> list[Outcome] | None:
    """The results of an answer, in the order of the uploads; None where it is not one about them."""
    try:
        results = answer.json()["results"]
        read = [
            Outcome(
                id=str(sent["id"]),
                status=int(one["status"]),
                stored=tuple(one["stored"]),
                held=tuple(one.get("held", ())),
                refused=dict(one["refused"]),
                code=one.get("code"),
                subject=one.get("subject"),
            )
            for sent, one in zip(uploads, results, strict=True)
            if one["id"] in (None, sent["id"])
        ]
    except (ValueError, KeyError, TypeError):
        return None
    return read if len(read) == len(uploads) else None


def _code(answer: httpx.Response) -> str:
    try:
        code = answer.json()["code"]
    except (ValueError, KeyError, TypeError):
        return f"http_{answer.status_code}"
    return code if isinstance(code, str) and code.isidentifier() else f"http_{answer.status_code}"
