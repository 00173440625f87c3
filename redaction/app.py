"""The HTTP edge: certificates and states for wallets, jobs and keys for the data protection officer."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query, Response
from sqlmodel import col, select

from issuer.wallet_auth import WalletCaller, wallet_caller
from redaction import archive_app, board_app, certificate, downstream, downstream_app, officers, status, texts
from redaction.disposition import DONE, Job
from runtime import problem, staff, staff_app
from runtime.platform import Platform
from runtime.staff import Staff

JOBS_AT_ONCE = 500
PACKED = {"fates", "kept", "sealed", "shredded", "planned"}  # columns that `parts` and `figures` tell of
STATUSES = {"unknown_notice": 404}
"""HTTP status of EvidenceError codes beyond those of `runtime.problem`."""


def create(platform: Platform) -> FastAPI:
    """The app on its own, errors and staff sign-in included; the worker is not: whoever serves it runs that beside."""
    app = FastAPI(title="Fieldgrant redaction", version="0.1.0", description=texts.APP)
    problem.install(app, statuses=STATUSES)
    app.include_router(staff_app.router(platform))
    app.include_router(router(platform))
    return app


def router(platform: Platform) -> APIRouter:
    """The routes under `/redaction`, for an app that has `problem.install`."""
    routes = APIRouter(prefix="/redaction", tags=["redaction"])
    _add_wallet(routes, platform)
    _add_staff(routes, platform)
    whole = APIRouter()
    for part in (
        routes,
        archive_app.router(platform),
        downstream_app.router(platform),
        board_app.router(platform),
    ):
        whole.include_router(part)
    return whole


def _add_wallet(routes: APIRouter, platform: Platform) -> None:
    signed = wallet_caller(platform, service="redaction")

    @routes.get(
        "/certificates",
        summary="My certificates",
        description=texts.CERTIFICATES,
        responses=texts.answers(texts.CERTIFICATES_EXAMPLE, texts.WALLET_PROBLEMS),
    )
    def certificates(caller: Annotated[WalletCaller, Depends(signed)]) -> Response:
        with platform.database.read() as session:
            bodies = certificate.of_subject(session, caller.subject)
        # the bytes as they were signed, not a rendering of them
        return _json(b'{"certificates":[' + b",".join(bodies) + b"]}")

    @routes.get(
        "/state",
        summary="What became of my fields",
        description=texts.STATE,
        responses=texts.answers(texts.STATE_EXAMPLE, texts.WALLET_PROBLEMS),
    )
    def state(caller: Annotated[WalletCaller, Depends(signed)]) -> Response:
        with platform.database.read() as session:
            fields = status.fields(session, caller.subject)
            opened = officers.openings(session, platform, caller.subject)
            told = downstream.of_subject(session, platform, caller.subject, platform.clock.now())
        body = {
            "fields": [_present(asdict(one)) for one in fields],
            "openings": [_present(status.opening(row)) for row in opened],
            "elsewhere": [_present(status.elsewhere(one)) for one in told],
        }
        return _json(orjson.dumps(body))


def _add_staff(routes: APIRouter, platform: Platform) -> None:
    officer_only = staff.signed_in(platform, roles=("dpo",))

    @routes.get(
        "/jobs",
        summary="Jobs and figures",
        description=texts.JOBS,
        responses=texts.answers(texts.JOBS_EXAMPLE, texts.STAFF_PROBLEMS),
    )
    def jobs(
        officer: Annotated[Staff, Depends(officer_only)],
        open_only: Annotated[bool, Query(alias="open", description=texts.OPEN, examples=[True])] = False,
    ) -> Response:
        statement = select(Job).order_by(col(Job.planned_at).desc()).limit(JOBS_AT_ONCE)
        if open_only:
            statement = statement.where(Job.step != DONE)
        with platform.database.read() as session:
            found = session.exec(statement).all()
            parts = status.parts(session, platform, found, platform.clock.now())
            rows = [_present(row.model_dump(exclude=PACKED)) | {"parts": parts[row.id]} for row in found]
            figures = asdict(status.figures(session, platform.clock.now()))
        return _json(orjson.dumps({"jobs": rows, "figures": figures}))

    @routes.get(
        "/keys",
        summary="Bucket keys",
        description=texts.KEYS,
        responses=texts.answers(texts.KEYS_EXAMPLE, texts.STAFF_PROBLEMS),
    )
    def keys(officer: Annotated[Staff, Depends(officer_only)]) -> Response:
        with platform.database.read() as session:
            shred = asdict(status.durations(session, platform.clock.now()))
        buckets = status.keys(platform)
        body = {"buckets": [asdict(one) for one in buckets], "summary": status.summary(buckets), "shred": shred}
        return _json(orjson.dumps(body))


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _present(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if value is not None}
