"""The data directory: made private where there is none, and not used where any user may put files into it.

Errors   `SettingsError`; `OSError` as it comes.
Source   sqlite.org/howtocorrupt.html section 1.4 (2026-11): SQLite plays a journal that lies beside a database into it,
         whoever has put it there.
"""

import stat
from pathlib import Path

from imagemill.model.errors import SettingsError


def made(directory: Path) -> None:
    """Make *directory* for this user alone, or see that a stranger cannot write to it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & stat.S_IWOTH:
        raise SettingsError(f"jobs.data: every user may write to {directory}; chmod 700 it, or name a folder below it")
