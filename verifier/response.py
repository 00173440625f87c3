"""GatedResponse: holds the passage until the last byte was handed to the socket."""

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime import serve
from verifier.passage import Passage


class GatedResponse(Response):
    """`GatedResponse(content, passage)`: takes the passage over, and lets it go after the last byte or the deadline.

    Needs a server whose `send` returns only when the bytes before are with the socket (`runtime.serve`), and no
    middleware that buffers between.
    """

    def __init__(
        self,
        content: bytes,
        passage: Passage,
        *,
        media_type: str = "application/json",
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})}, media_type)
        self._passage = passage
        passage.hand_over()

    def drop(self) -> None:
        """Nobody waits for it any more."""
        self._passage.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head, body, and an empty last part: the server takes that one only when the body has left its buffer."""
        try:
            self._passage.unlost()  # between the record and here the server may have forgotten us
            async with asyncio.timeout(self._passage.send_deadline):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": self.body, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # Bytes that the client did not take in time must never arrive: a withdrawal is waiting.
            if not serve.cut(scope):
                raise
        except BaseException:
            serve.cut(scope)
            raise
        finally:
            self._passage.release()
        if self.background is not None:
            await self.background()
