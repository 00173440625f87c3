"""The audit over HTTP: a customer's own history, the public log, and the auditor's events and bundles."""

from collections.abc import Callable
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI

from audit.bundle import Credentials
from audit.log import Log
from protocol.consent import SubjectId
from runtime.platform import Platform


class Caller(Protocol):
    """Who signed the request: the enrolled subject."""

    @property
    def subject(self) -> SubjectId: ...


def build_router(
    platform: Platform, log: Log, *, wallet_caller: Callable[..., Any], credentials: Credentials
) -> APIRouter:
    """Routes under `/audit`; `wallet_caller` is the dependency that yields a `Caller`."""
    raise NotImplementedError


def build_app(platform: Platform, *, wallet_caller: Callable[..., Any], credentials: Credentials) -> FastAPI:
    """The audit as an application of its own, its drain worker included."""
    raise NotImplementedError
