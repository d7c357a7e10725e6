"""How much memory the first cache level may take.

Units    bytes.
Source   cgroup v2 ``memory.max`` and v1 ``memory.limit_in_bytes`` (kernel documentation, admin-guide/cgroup-v2).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from imagemill.model.errors import SettingsError

_MOST = 512 * 1024 * 1024
_ROOT = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")


def l1_bytes(wanted: int, total: int) -> int:
    """The bound of L1 where *total* bytes may be used: *wanted*, or a quarter up to 512 MiB; never above half."""
    if wanted > total // 2:
        raise SettingsError(f"cache.l1_bytes: {wanted} is more than half of the {total} bytes this container may use")
    return wanted or min(total // 4, _MOST)


def container_bytes(root: Path = _ROOT, groups: Path = _GROUPS) -> int:
    """The memory this process may use: the tightest of its control groups, else what the machine has."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits(root, groups)])


def _limits(root: Path, groups: Path) -> Iterator[int]:
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _upwards(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _upwards(root / "memory", path, "memory.limit_in_bytes")


def _upwards(root: Path, path: str, name: str) -> Iterator[int]:
    """Limits of a group and of all above it; a container sees its own group as the root."""
    here = root / path.lstrip("/")
    for folder in (here, *here.parents):
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            text = ""
        if text.isdigit() and int(text) > 0:
            yield int(text)
        if folder == root:
            return
