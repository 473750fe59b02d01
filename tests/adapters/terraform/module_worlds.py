"""What the tests of module fetches share: a folder that the sandbox's users reach, an engine with access to a host,
roots that call.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from adapters.terraform.worlds import bare_target
from module_hosts import ModuleHost
from ops_agent.adapters.network import DIRECT, Network
from ops_agent.adapters.terraform.module_fetch import ModuleAccess
from ops_agent.adapters.terraform.module_hosts import ModuleCredentials
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import TerraformRoot, TerraformTarget
from ops_agent.model.verification import CheckResult, CheckStatus
from ops_agent.terraform.module_sources import module_files

TOKEN = "a-token-of-the-module-host"
QUEUE = """\
variable "name" {
  type = string
}
output "made" {
  value = "queue ${var.name} of ${path.module}"
}
"""
PATH = "/usr/local/bin:/usr/bin:/bin"


@contextmanager
def open_folder() -> Iterator[Path]:
    """pytest's own directories are closed to the sandbox's users."""
    folder = Path(tempfile.mkdtemp(prefix="ops-agent-modules-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def engine(
    host: ModuleHost,
    *,
    token: str = TOKEN,
    binary: str = "embedded",
    said: list[str] | None = None,
    network: Network = DIRECT,
    **more,
) -> TerraformCli:
    """An engine that reaches `host` with `token` (empty: none); it does not wait between tries."""
    given = {
        "credentials": ModuleCredentials(tokens={host.name: token} if token else {}),
        "variables": host.trust,
        **more,
    }
    access = ModuleAccess(sleep=lambda _: None, say=(said if said is not None else []).append, **given)
    return TerraformCli(
        policy=Policy(),
        binary=binary,
        path_variable=PATH,
        patience=Patience(deadline=60),
        modules=access,
        network=network,
    )


def call(source: str, label: str = "queue", **arguments: str) -> str:
    lines = "".join(f'  {key} = "{value}"\n' for key, value in {"source": source, **arguments}.items())
    return f'module "{label}" {{\n{lines}}}\n'


def fetch(terraform: TerraformCli, files: Mapping[str, str], *, root: str = ".") -> CheckResult:
    """What the stage does: the base's configuration files, if they call a remote module."""
    content = {path: text.encode() for path, text in files.items()}
    where: TerraformRoot = bare_target(root).root
    return terraform.fetch_modules(where, module_files(where, content, content.__getitem__))


def target(root: str = ".") -> TerraformTarget:
    return bare_target(root)


def only_finding(check: CheckResult) -> tuple[str, str, str]:
    """Place, words and remedy of the one finding."""
    assert check.status is CheckStatus.FAILED
    (found,) = check.findings
    assert found.title == "A module cannot be fetched" and found.blocks
    assert TOKEN not in str(check)
    return str(found.place), found.what, found.remedy
