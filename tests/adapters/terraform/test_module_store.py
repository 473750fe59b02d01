"""What is kept of a fetch: plain files and links that stay inside, within limits; the settings of git and Terraform;
what a head is given.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from adapters.terraform.module_worlds import call
from adapters.terraform.worlds import write
from ops_agent.adapters.terraform import module_store
from ops_agent.adapters.terraform.module_hosts import ModuleCredentials
from ops_agent.adapters.terraform.module_store import NotKept, keep, records_for
from ops_agent.adapters.terraform.processes import Children, Patience
from ops_agent.config.settings import Settings, read_inputs
from ops_agent.model.terraform import TerraformRoot
from ops_agent.terraform.module_sources import SourceKind, module_calls, module_files, read_module_source, shown_source

SOURCE = "git::https://git.example.com/org/net.git//sqs?ref=v1"


def fetched(tmp_path: Path, files: dict[str, str], source: str = SOURCE, inside: str = "q/sqs") -> Path:
    modules = write(tmp_path / "modules", {f"q/{path}": text for path, text in files.items()})
    entries = [{"Key": "", "Source": "", "Dir": "."}, {"Key": "q", "Source": source, "Dir": str(modules / inside)}]
    (modules / "modules.json").write_text(json.dumps({"Modules": entries}))
    return modules


def test_links_that_leave_and_insides_of_git_and_terraform_are_left_out_and_named(tmp_path):
    modules = fetched(
        tmp_path,
        {"sqs/main.tf": "x", "shared/a.tf": "y", ".git/config": "z", ".git/HEAD": "a" * 40, "sqs/.terraform/x": "z"},
    )
    links = {
        "sqs/inner.tf": "../shared/a.tf",
        "sqs/folder": "../shared",
        "sqs/passwd": "/etc/passwd",
        "sqs/up": "../../../outside",
        "sqs/around": "../../q/shared/a.tf",
        "sqs/git": "../.git/config",
        "sqs/nowhere": "missing",
    }
    (tmp_path / "outside").write_text("secret")
    for name, text in links.items():
        (modules / "q" / name).symlink_to(text)
    os.mkfifo(modules / "q/sqs/pipe")
    kept = keep(modules, tmp_path / "kept")
    found = {
        str(p.relative_to(tmp_path / "kept/0"))
        for p in (tmp_path / "kept/0").rglob("*")
        if not p.is_dir() or p.is_symlink()
    }
    assert found == {"sqs/main.tf", "shared/a.tf", "sqs/inner.tf", "sqs/folder"}
    assert set(kept.dropped) == {"q/sqs/passwd", "q/sqs/up", "q/sqs/around", "q/sqs/git", "q/sqs/nowhere", "q/sqs/pipe"}
    assert kept.commits[0] == "a" * 40
    assert (tmp_path / "kept/0/sqs/inner.tf").read_text() == "y"


@pytest.mark.parametrize(("name", "value"), [("MAX_MODULE_FILES", 2), ("MAX_MODULE_BYTES", 10)])
def test_too_many_files_or_bytes_are_refused(name, value, tmp_path, monkeypatch):
    modules = fetched(tmp_path, {"sqs/main.tf": "x" * 6, "sqs/a.tf": "x" * 6, "sqs/b.tf": ""})
    monkeypatch.setattr(module_store, name, value)
    with pytest.raises(NotKept, match="hold more than") as refused:
        keep(modules, tmp_path / "kept")
    assert refused.value.key == "q"


def test_a_module_that_is_a_link_or_lies_elsewhere_is_refused(tmp_path):
    """go-getter links to a path of the machine."""
    modules = fetched(tmp_path, {"sqs/main.tf": "x"}, inside="linked")
    (modules / "linked").symlink_to("/etc")
    with pytest.raises(NotKept, match="link to a path of this machine"):
        keep(modules, tmp_path / "kept")
    modules = fetched(tmp_path / "two", {"sqs/main.tf": "x"}, inside="../../etc")
    with pytest.raises(NotKept, match="outside of what was fetched"):
        entries = [{"Key": "q", "Source": SOURCE, "Dir": "/etc"}]
        (modules / "modules.json").write_text(json.dumps({"Modules": entries}))
        keep(modules, tmp_path / "kept2")


def test_a_package_that_is_called_twice_is_kept_once(tmp_path):
    modules = fetched(tmp_path, {"sqs/main.tf": "x", ".git/HEAD": "b" * 40})
    write(modules, {"again/sqs/main.tf": "x"})
    entries = json.loads((modules / "modules.json").read_text())["Modules"]
    entries.append({"Key": "again", "Source": SOURCE, "Dir": str(modules / "again/sqs")})
    (modules / "modules.json").write_text(json.dumps({"Modules": entries}))
    kept = keep(modules, tmp_path / "kept")
    assert {r.key: (r.package, r.inside) for r in kept.records if r.key} == {"q": (0, "sqs"), "again": (0, "sqs")}
    assert kept.commits == {0: "b" * 40}, "the copy has no .git, whichever comes first"


def calls_of(files: dict[str, str], root: str = "infra"):
    content = {path: text.encode() for path, text in files.items()}
    return module_calls(TerraformRoot(path=root, environments=()), content, content.__getitem__)


def test_a_call_without_the_same_source_and_version_on_the_base_gets_no_record(tmp_path):
    kept = keep(fetched(tmp_path, {"sqs/main.tf": "x"}), tmp_path / "kept")
    base = calls_of({"infra/main.tf": call(SOURCE, "q")})
    head = calls_of(
        {"infra/main.tf": call(SOURCE, "renamed") + call(SOURCE + "2", "q") + call(SOURCE, "other", version="1.0.0")}
    )
    assert [r.key for r in records_for(head, base, kept)] == ["", "renamed"]


def test_calls_are_found_through_local_modules_and_overrides_with_terraform_s_keys():
    files = {
        "infra/main.tf": call("../modules/a", "a") + call("org/vpc/aws", "vpc", version="1.0.0"),
        "infra/z_override.tf": call("org/vpc2/aws", "vpc"),
        "modules/a/main.tf": call("../a", "self") + call("../b", "b"),
        "modules/b/main.tf.json": json.dumps({"module": {"deep": {"source": SOURCE}}}),
        "elsewhere/main.tf": call("git::https://example.com/x.git", "unused"),
    }
    found = {c.key: c for c in calls_of(files)}
    assert (found["vpc"].source, found["vpc"].version, found["vpc"].path) == ("org/vpc2/aws", "1.0.0", "infra/main.tf")
    assert (found["a.b.deep"].source, found["a.b.deep"].path) == (SOURCE, "modules/b/main.tf.json")
    assert len(found) < 200, "a module that calls itself ends"
    content = {path: text.encode() for path, text in files.items()}
    read = module_files(TerraformRoot(path="infra", environments=()), content, content.__getitem__)
    assert set(read) == set(files) - {"elsewhere/main.tf"}
    assert module_files(TerraformRoot(path="modules/z", environments=()), content, content.__getitem__) == {}


@pytest.mark.parametrize(
    ("source", "kind", "host", "owner"),
    [
        ("github.com/Org/repo//sub?ref=v1", SourceKind.GIT, "github.com", "Org"),
        ("git::https://user:secret@git.example.com:8443/org/repo.git", SourceKind.GIT, "git.example.com:8443", "org"),
        ("git::https://git.example.com:443/org/repo.git", SourceKind.GIT, "git.example.com", "org"),
        ("git@Git.example.com:org/repo.git", SourceKind.SSH, "git.example.com", "org"),
        ("git::git@git.example.com:org/repo.git", SourceKind.SSH, "git.example.com", "org"),
        ("git::ssh://git@git.example.com:2222/org/repo.git", SourceKind.SSH, "git.example.com", "org"),
        ("app.terraform.io/org/vpc/aws//modules/x", SourceKind.REGISTRY, "app.terraform.io", "org"),
        ("terraform-aws-modules/vpc/aws", SourceKind.REGISTRY, "the default registry", "terraform-aws-modules"),
        ("https://example.com/x.zip", SourceKind.ARCHIVE, "example.com", "x.zip"),
        ("ssh://git@example.com/x.git", SourceKind.REFUSED, "", ""),
        ("oci::example.com/x", SourceKind.REFUSED, "", ""),
        ("git::https://[bad/x", SourceKind.REFUSED, "", ""),
        ("~/modules", SourceKind.REFUSED, "", ""),
    ],
)
def test_a_source_is_read_as_terraform_reads_it(source, kind, host, owner):
    read = read_module_source(source)
    assert (read.kind, read.host, read.owner) == (kind, host, owner)
    assert bool(read.why) is (kind is SourceKind.REFUSED)
    assert "secret" not in shown_source(source)


def git_says(variables: dict[str, str], *command: str, given: str = "", cwd: Path | None = None) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables}
    done = subprocess.run(
        ["git", *command], env=environment, input=given, capture_output=True, text=True, check=False, cwd=cwd
    )
    return done.stdout


def test_git_s_helper_answers_for_its_host_and_owner_only():
    tokens = {"git.example.com": "deploy:a-token-for-git", "git.example.com:8443": "a-token-for-8443"}
    variables = ModuleCredentials(
        tokens=tokens, own_host="github.com", own_owner="Org", own_token="a-token-of-the-run"
    ).variables()

    def asked(host: str, path: str) -> str:
        return git_says(variables, "credential", "fill", given=f"protocol=https\nhost={host}\npath={path}\n\n")

    assert "username=deploy\npassword=a-token-for-git\n" in asked("git.example.com", "any/x.git")
    assert "username=x-access-token\npassword=a-token-for-8443\n" in asked("git.example.com:8443", "any/x.git")
    assert "password=a-token-of-the-run\n" in asked("github.com", "oRG/x.git")
    for host, path in (
        ("github.com", "orga/x.git"),
        ("github.com", "x/Org/y.git"),
        ("github.com", "Org/../other/y.git"),
        ("evil.example.com", "Org/x.git"),
        ("xgit.example.com", "a"),
    ):
        assert "password" not in asked(host, path)
    assert "TF_TOKEN_git_example_com" not in variables, "only a host whose discovery was checked"
    assert (
        ModuleCredentials(tokens={"a-b.example.com": "x:yyyyyyyy"}).variables(["a-b.example.com"])[
            "TF_TOKEN_a__b_example_com"
        ]
        == "yyyyyyyy"
    )


def test_git_runs_no_hook_reads_no_configuration_and_fetches_no_submodule(tmp_path):
    home = write(tmp_path / "home", {".gitconfig": "[user]\n\tname = somebody\n"})
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a",
        "HOME": str(home),
    }
    variables = {**ModuleCredentials().variables(), **identity}
    assert git_says(variables, "config", "user.name", cwd=tmp_path) == ""
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    open_to_files = {
        **identity,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    for place in (inner, outer):
        git_says(identity, "init", "-q", str(place))
        git_says(identity, "commit", "-q", "--allow-empty", "-m", "one", cwd=place)
    git_says(open_to_files, "submodule", "--quiet", "add", str(inner), "sub", cwd=outer)
    git_says(identity, "commit", "-qam", "two", cwd=outer)
    assert (outer / "sub/.git").exists(), "the control"
    git_says({**variables, "GIT_ALLOW_PROTOCOL": "file"}, "clone", "-q", str(outer), str(tmp_path / "clone"))
    (tmp_path / "clone/.git/hooks").mkdir(exist_ok=True)
    hook = tmp_path / "clone/.git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    all_of_it = {**variables, "GIT_ALLOW_PROTOCOL": "file"}
    git_says(all_of_it, "submodule", "update", "--init", "--recursive", cwd=tmp_path / "clone")
    git_says(all_of_it, "checkout", "-q", "HEAD~1", cwd=tmp_path / "clone")
    assert not (tmp_path / "clone/sub/.git").exists()
    assert not (tmp_path / "ran").exists()
    git_says(identity, "checkout", "-q", "-", cwd=tmp_path / "clone")
    assert (tmp_path / "ran").exists(), "the control"


def test_no_other_child_lives_or_starts_while_it_is_quiet(tmp_path):
    """Without a user id of their own, children could read the environment in which the tokens are."""
    import threading
    import time

    children, seen = Children(), []

    def run(seconds: float) -> None:
        children.run(["/bin/sleep", str(seconds)], variables={}, cwd=tmp_path, patience=Patience(deadline=10))
        seen.append("child")

    first = threading.Thread(target=run, args=(0.4,))
    first.start()
    while not children._live:
        time.sleep(0.01)
    with children.quiet():
        assert seen == ["child"]
        second = threading.Thread(target=run, args=(0.0,))
        second.start()
        time.sleep(0.3)
        assert not children._live and len(seen) == 1
    second.join()
    first.join()
    assert len(seen) == 2


def test_tokens_of_hosts_are_read_by_line_and_never_shown():
    given = "Git.Example.com = a-good-token\n\napp.terraform.io:8443=user:another-token\n"
    given += "https://x.example.com=third-token\nno-token-line\nb.example.com=short"
    read = read_inputs({"INPUT_MODULE_CREDENTIALS": given})
    assert read.wrong == {"module_credentials"} and len(read.problems) == 3
    assert "line 4" in read.problems[0] and "line 5" in read.problems[1] and "`b.example.com`" in read.problems[2]
    assert not any(secret in str(read.problems) for secret in ("token-line", "third-token", "short="))
    good = {"INPUT_MODULE_CREDENTIALS": "\n".join(given.splitlines()[:3])}
    assert Settings.from_inputs(good).module_credentials == {
        "git.example.com": "a-good-token",
        "app.terraform.io:8443": "user:another-token",
    }
    settings = Settings(module_credentials={"a.example.com": "user:another-token"})
    assert "another-token" in settings.secrets and "another-token" not in repr(settings)
