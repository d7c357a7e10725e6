"""Whether a data directory has a job process: one holds a lock there for as long as it lives, and no longer.

Keys     ``lock`` in the directory. It is never removed, for another could then be locked in its place.
Errors   none: a directory that cannot be looked at is nobody's.
Source   flock(2): the kernel lets go of the lock with its holder's last descriptor, however it ends.
"""

import fcntl
import os
from pathlib import Path

NAME = "lock"


def taken(directory: Path) -> bool:
    """Whether a process holds *directory* just now; shared, so that two who look do not see each other."""
    try:
        fd = os.open(directory / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
