"""Programs that tests need and a machine may lack: there, or the test is skipped by name; missing in CI is a failure."""

import os
import shutil

import pytest


def program(name: str, *folders: str) -> str:
    """Where *name* is: in *folders* first, then on the path."""
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        words = f"{name} is not installed"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    return found
