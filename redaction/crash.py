"""The crash points of the steps of redaction: see `runtime.crash`, where all are listed."""

from runtime.crash import POINTS, STEPS, VARIABLE, point

__all__ = ["POINTS", "STEPS", "VARIABLE", "point"]
