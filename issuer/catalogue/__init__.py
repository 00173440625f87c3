"""The catalogue: which fields exist, for which purposes they may be asked,
and the notices people read before they decide.
"""

from issuer.catalogue.entries import Catalogue, Ending, FieldEntry, Notice, PurposeEntry, RecipientEntry
from issuer.catalogue.loading import CatalogueError, load

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Ending",
    "FieldEntry",
    "Notice",
    "PurposeEntry",
    "RecipientEntry",
    "load",
]
