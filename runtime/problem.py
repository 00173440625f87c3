"""Errors as problem+json (RFC 9457) with a stable `code`, for every way in which a request can fail."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from protocol.canonical import MAX_BYTES

TYPES = "https://ns.fieldgrant.example/problems/"


class Problem(Exception):
    """An answer that is not the one asked for. Never holds a personal value."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`status` is HTTP's, `code` stable for programs, `detail` for people, `field` names the offending input."""
        super().__init__(detail)
        self.status, self.code, self.detail, self.field, self.headers = status, code, detail, field, headers


def install(
    app: FastAPI,
    *,
    body_limit: int = MAX_BYTES,
    larger: Mapping[str, int] | None = None,
    statuses: Mapping[str, int] | None = None,
) -> None:
    """Make every error of `app` a problem, and bound the bodies it takes.

    `larger` gives other limits in bytes by full path (`{"/crm/imports": 64 * 2**20}`); `statuses` gives the HTTP status
    of EvidenceError codes that are not 400. JSON bodies are parsed strictly (duplicate keys, depth) before any route.
    """
    raise NotImplementedError


def json_body(limit: int = MAX_BYTES) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    """A FastAPI dependency: the request's body as a strictly parsed JSON object. Problems: 413 too_large, 400 bad_json…"""
    raise NotImplementedError
