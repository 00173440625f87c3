"""No core file and no debugger: what a process holds open in memory is not written to the disk by its crash."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def forbid() -> bool:
    """From now on a crash of this process leaves no core file, and nobody but root can attach to it.

    The limit alone does not hold where the kernel pipes cores to a program (core_pattern(5)); a process that is not
    dumpable is given to none. Only the soft limit is lowered: programs that we start choose for themselves. False
    where the system has no such switch.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
