"""GatedResponse: holds the passage until the last byte was handed to the socket."""

from starlette.responses import Response

from verifier.gate import Passage


class GatedResponse(Response):
    """`GatedResponse(content, passage)`: takes the passage over; cut off after the gate's send deadline."""

    def __init__(
        self, content: bytes, passage: Passage, *, media_type: str = "application/json", status_code: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        raise NotImplementedError
