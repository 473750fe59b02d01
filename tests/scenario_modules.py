"""A private module host beside a scenario, when its `scenario.yml` has `modules`: a real git server on loopback that
asks for a token.

`MODULE_HOST` and `MODULE_COMMIT` in the scenario's files are replaced by its name and by the commit that it serves.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from module_hosts import ModuleHost


@contextmanager
def module_host(folder: Path, workplace: Path) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """The scenario's folder, with the names filled in, and what makes a run trust the host. Without `modules` the
    folder as it is.
    """
    modules = yaml.safe_load((folder / "scenario.yml").read_text(encoding="utf-8")).get("modules")
    if modules is None:
        yield folder, {}
        return
    open_to_all = Path(tempfile.mkdtemp(prefix="ops-agent-modules-", dir="/tmp"))
    open_to_all.chmod(0o755)  # the sandbox's own user must reach the certificate
    try:
        with ModuleHost(open_to_all / "host", token=modules["token"]) as host:
            commit = host.add_repository(modules["repository"], modules["files"])
            filled = workplace / "scenario"
            shutil.copytree(folder, filled)
            for path in filled.rglob("*"):
                if path.is_file():
                    path.write_text(path.read_text().replace("MODULE_HOST", host.name).replace("MODULE_COMMIT", commit))
            yield filled, host.trust
            assert any(one.secret == modules["token"] for one in host.asked), "nobody fetched the module"
    finally:
        shutil.rmtree(open_to_all)


def trusting(harness: Path, trust: Mapping[str, str]) -> Path:
    """The harness file with what a run's module fetch has to trust."""
    document = json.loads(harness.read_text(encoding="utf-8"))
    harness.write_text(json.dumps({**document, "module_variables": dict(trust)}), encoding="utf-8")
    return harness
