"""Every table of this package, in one place for the migrations' metadata."""

from redaction.archive import Archived
from redaction.disposition import Disposition, Job, LapseRow
from redaction.rotation import Rotation

__all__ = ["Archived", "Disposition", "Job", "LapseRow", "Rotation"]
