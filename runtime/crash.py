"""Named crash points: places where a test may make this process die as if its power had gone.

`FIELDGRANT_CRASH_AT=seal.within` makes the process send itself SIGKILL when it reaches that point. Unset, which is
how every real process runs, a point is one look into the environment and nothing else. Each step has
three points: `<step>.before` (nothing done), `<step>.within` (acted and marked, not committed) and `<step>.after`
(committed). `plan`, `seal`, `reseal` and `journal` are one transaction, and so are `dropped` and `certify`: only after
the last of them is anything committed.
`POINTS` lists them all, so that the tests can prove that none was left out.
"""

import os
import signal

VARIABLE = "FIELDGRANT_CRASH_AT"

REDACTION = (
    "plan",
    "seal",
    "reseal",
    "journal",
    "begin",
    "rewrap",
    "destroy",
    "dropped",
    "certify",
    "restore",
    "period",
    "erase",
    "due",
)
STEPS = (*REDACTION, "withdrawal", "settle", "drain", "publish", "agree", "replay", "rebuild", "rollforward")
POINTS = tuple(f"{step}.{moment}" for step in STEPS for moment in ("before", "within", "after"))


def point(name: str) -> None:
    """Die here by SIGKILL when the environment names this point; otherwise do nothing."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
