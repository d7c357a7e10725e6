"""A quarter of what the container has, 512 MiB at most, never above half."""

import pytest

from imagemill.cache.budget import container_bytes, l1_bytes
from imagemill.model.errors import SettingsError

MiB = 1 << 20


@pytest.mark.parametrize(
    ("wanted", "total", "bound"),
    [
        (0, 1024 * MiB, 256 * MiB),
        (0, 64 * 1024 * MiB, 512 * MiB),
        (100, 1024 * MiB, 100),
        (512 * MiB, 1024 * MiB, 512 * MiB),
    ],
)
def test_bound(wanted, total, bound):
    assert l1_bytes(wanted, total) == bound


def test_above_half_is_refused():
    with pytest.raises(SettingsError, match="more than half"):
        l1_bytes(513 * MiB, 1024 * MiB)


def test_the_tightest_group_counts(tmp_path):
    """cgroup v2: the limit of a group above binds too; "max" is no limit."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (tmp_path / "a" / "memory.max").write_text(f"{300 * MiB}\n")
    groups = tmp_path / "groups"
    groups.write_text("0::/a/b\n")

    assert container_bytes(tmp_path, groups) == 300 * MiB


def test_version_one(tmp_path):
    folder = tmp_path / "memory" / "docker"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{200 * MiB}\n")
    groups = tmp_path / "groups"
    groups.write_text("4:memory:/docker\n3:cpu,cpuacct:/docker\n")

    assert container_bytes(tmp_path, groups) == 200 * MiB


def test_without_groups_the_machine_counts(tmp_path):
    assert container_bytes(tmp_path, tmp_path / "none") > 0
