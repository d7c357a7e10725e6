"""Load the libvips that came with imagemill, and no other.

`pyvips` binds to whatever ``_libvips`` module or ``libvips.so.42`` it meets first. Where a compiler and libvips
headers are about, installing it builds a ``_libvips`` against the system's library, which may take the place of
the one in the ``pyvips-binary`` wheel. So the wheel's own module is loaded by path before `pyvips` looks for one;
where it was overwritten, `pyvips` is made to open the wheel's library instead.

Errors   `SettingsError` where the wheel's library is missing or older than `FLOOR`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from importlib.metadata import PackageNotFoundError, files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from imagemill.model.errors import SettingsError

FLOOR = (8, 18, 3)
"""Oldest libvips without known open advisories on 2026-11-23 (threat O07)."""


def load() -> Any:
    """Import `pyvips` on the bundled library, check what is in force, and return the module."""
    binding, library = _bundled()
    if not _preload(binding, library):
        sys.modules.pop("_libvips", None)
        with _only(library):
            import pyvips  # noqa: PLC0415 - must not be imported before its library is chosen
    else:
        import pyvips  # noqa: PLC0415
    version = tuple(pyvips.version(n) for n in range(3))
    if version < FLOOR:
        raise SettingsError(f"libvips {version} is in force; {FLOOR} or later is needed")
    if not _mapped(library):
        raise SettingsError(f"a libvips other than {library.name} is in force; reinstall pyvips-binary")
    return pyvips


def _bundled() -> tuple[Path, Path]:
    """The wheel's extension module and its library."""
    try:
        found = [Path(str(f.locate())) for f in files("pyvips-binary") or ()]
    except PackageNotFoundError as e:
        raise SettingsError("pyvips-binary is not installed; pip install imagemill brings it") from e
    binding = next((f for f in found if f.name.startswith("_libvips.")), Path("missing"))
    library = next((f for f in found if f.name.startswith("libvips-") and ".so" in f.name), None)
    if library is None or not library.exists():
        raise SettingsError("pyvips-binary holds no libvips; reinstall it")
    return binding, library


def _preload(binding: Path, library: Path) -> bool:
    """Whether *binding* could be loaded, and is linked to *library*."""
    if not binding.exists() or library.name.encode() not in binding.read_bytes():
        return False
    spec = spec_from_file_location("_libvips", binding, loader=ExtensionFileLoader("_libvips", str(binding)))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["_libvips"] = module
    return True


@contextmanager
def _only(library: Path) -> Iterator[None]:
    """While `pyvips` is imported: no ``_libvips``, and *library* in place of the system's."""
    import cffi  # noqa: PLC0415 - a dependency of pyvips, needed on this path only

    opened = cffi.FFI.dlopen

    def dlopen(self: Any, name: Any, flags: int = 0) -> Any:
        return opened(self, str(library) if str(name).startswith("libvips.so") else name, flags)

    missing = sys.modules
    missing["_libvips"] = None  # type: ignore[assignment]  # an import of it fails
    cffi.FFI.dlopen = dlopen
    try:
        yield
    finally:
        cffi.FFI.dlopen = opened
        del missing["_libvips"]


def _mapped(library: Path) -> bool:
    """Whether *library*, and no other libvips, is in this process's memory map."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    names = {line.rsplit("/", 1)[-1] for line in lines if "/libvips" in line}
    return {n for n in names if not n.startswith("libvips-cpp")} == {library.name}
