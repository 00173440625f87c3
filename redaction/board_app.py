"""The HTTP edge of the board."""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Response

from redaction import board, texts
from redaction.tally import Tally
from runtime import staff
from runtime.platform import Platform
from runtime.staff import Staff

ROLES: Final = ("dpo", "admin")
_TEXT: Final = (
    "How the house ran in the last hour, for the data protection officer and the administrator: `minutes` and `totals`"
    " of releases, refusals by the gate, refused attempts and withdrawals; how long it took from a withdrawal to the"
    " shut gate (`shut`) and to the destroyed key (`disposition`), in seconds; the open jobs (`queue`, `oldest` is an"
    " age in seconds, `moved` counts data keys of the buckets that rotate); per touchpoint and recipient throughput,"
    " delay and the share that failed. `alerts` lists what"
    " is above `threshold` seconds (`shut_slow`, `shut_open`, `disposition_slow`, `disposition_open`, `job_old`,"
    " `link_slow`, `link_waiting`), or fails too often (`link_failing`). No personal values, and no customer."
)
_NONE: Final = {"count": 0, "median": None, "longest": None, "open": 0, "open_longest": None}
_EXAMPLE: Final[dict[str, Any]] = {
    "at": "2026-11-22T09:00:00.000Z",
    "since": "2026-11-22T08:00:00.000Z",
    "threshold": 15.0,
    "minutes": [{"minute": "2026-11-22T08:59Z", "releases": 12, "refusals": 1, "attempts": 0, "withdrawals": 1}],
    "totals": {"releases": 12, "refusals": 1, "attempts": 0, "withdrawals": 1},
    "shut": {**_NONE, "count": 1, "median": 0.012, "longest": 0.012},
    "disposition": {**_NONE, "open": 1, "open_longest": 16.2},
    "queue": {
        "open": 1,
        "steps": {"journalled": 1},
        "failing": 0,
        "oldest": 16.0,
        "disputed": 0,
        "rotating": {"buckets": 1, "moved": 800},
    },
    "touchpoints": [],
    "recipients": [],
    "alerts": [{"code": "disposition_open", "link": None, "value": 16.2, "threshold": 15.0}],
}


def router(platform: Platform) -> APIRouter:
    """GET /redaction/board."""
    routes, tally = APIRouter(prefix="/redaction", tags=["redaction"]), Tally()
    overseer = staff.signed_in(platform, roles=ROLES)

    @routes.get(
        "/board", summary="The board", description=_TEXT, responses=texts.answers(_EXAMPLE, texts.STAFF_PROBLEMS)
    )
    def read(
        _caller: Annotated[Staff, Depends(overseer)],
        threshold: Annotated[float, Query(gt=0, le=86_400, examples=[15], description="Seconds.")] = board.THRESHOLD,
    ) -> Response:
        with platform.database.read() as session:
            body = board.read(session, platform, tally, platform.clock.now(), threshold)
        return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})

    return routes
