"""A base for the image, made of this machine: its Python, the libraries that it needs, a shell. No registry is asked.

What an image of a distribution has beside them is not there, so a build that leans on more fails.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = ("sh", "cat", "cp", "env", "false", "ls", "mkdir", "rm")
LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1")
"""What wheels for manylinux may take for granted, beside what Python itself is linked to."""
_LEFT_OUT = shutil.ignore_patterns(
    "site-packages", "dist-packages", "test", "ensurepip", "idlelib", "lib2to3", "tkinter", "turtledemo", "config-*"
)


def make(root: Path) -> None:
    """Lay the base out below *root*, which does not exist yet."""
    for name in ("etc", "proc", "dev", "sys", "tmp", "var/tmp", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / "usr" / name).mkdir(exist_ok=True)
            (root / name).symlink_to(Path("/", name).readlink())
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text("root:x:0:0:root:/root:/bin/sh\n" if name == "passwd" else "root:x:0:\n")
    programs = [Path(found) for name in PROGRAMS if (found := shutil.which(name))]
    python = _python(root)
    extensions = [file for folder in _standard_library() for file in folder.glob("lib-dynload/*.so")]
    for file in {*programs, python, *_libraries([*programs, python, *extensions]), *_named(LIBRARIES)}:
        _copy(file, root)
    for name in ("python3", "python"):
        (root / "usr/local/bin" / name).symlink_to(python)


def _python(root: Path) -> Path:
    """Copy the standard library and pip of the Python that this one came from; its program."""
    for folder in _standard_library():
        _parents(root, folder)
        shutil.copytree(folder, _below(root, folder), ignore=_LEFT_OUT, symlinks=True, dirs_exist_ok=True)
    python = Path(sys.executable).resolve()
    asked = subprocess.run(
        [python, "-I", "-c", "import site; print(site.getsitepackages()[0])"], check=True, capture_output=True, text=True
    )  # fmt: skip
    packages = _below(root, Path(asked.stdout.strip()))
    packages.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(pip_wheel()) as pip:
        pip.extractall(packages)
    return python


def _standard_library() -> set[Path]:
    """Its folders, of the Python that a virtual environment came from."""
    base = {"installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix,
            "base": sys.base_prefix, "platbase": sys.base_exec_prefix}  # fmt: skip
    return {Path(sysconfig.get_path(kind, vars=base)) for kind in ("stdlib", "platstdlib")}


def pip_wheel() -> Path:
    """The pip that virtualenv carries along."""
    from virtualenv.seed.wheels.embed import get_embed_wheel

    return Path(get_embed_wheel("pip", f"{sys.version_info[0]}.{sys.version_info[1]}").path)


def _libraries(files: Iterable[Path]) -> set[Path]:
    """What the loader would map for *files*, itself included."""
    told = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True).stdout
    return {Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", told, re.MULTILINE)}


def _named(names: Iterable[str]) -> set[Path]:
    """Where the loader finds these libraries."""
    ldconfig = shutil.which("ldconfig", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "ldconfig"
    told = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True).stdout
    found: dict[str, Path] = {}
    for name, path in re.findall(r"^\t(\S+) \(libc6,(?:x86-64|AArch64)[^)]*\) => (\S+)$", told, re.MULTILINE):
        found.setdefault(name, Path(path))
    return {found[name] for name in names}


def _copy(file: Path, root: Path) -> None:
    """The file under the name it has here, whatever links lead to it."""
    _parents(root, file)
    target = _below(root, file)
    if not target.exists():
        shutil.copy2(file.resolve(), target)


def _parents(root: Path, path: Path) -> None:
    _below(root, path).parent.mkdir(parents=True, exist_ok=True)


def _below(root: Path, path: Path) -> Path:
    """*path* below *root*, past the links of the top folders."""
    parts = path.parts[1:]
    if len(parts) > 1 and (root / parts[0]).is_symlink():
        return root / (root / parts[0]).readlink() / Path(*parts[1:])
    return root.joinpath(*parts)
