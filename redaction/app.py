"""The HTTP edge: certificates and states for wallets, jobs and keys for the data protection officer."""

from fastapi import FastAPI

from issuer.catalogue import Catalogue
from runtime.platform import Platform


def create(platform: Platform, catalogue: Catalogue) -> FastAPI:
    """The app; its paths begin with `/redaction`."""
    raise NotImplementedError
