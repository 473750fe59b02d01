"""The action's own scripts, taken out of action.yml and run by bash as a runner does: nothing of the workspace or the
user takes part.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from company_network import company_network
from entry_points.action_runner import Runner


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def evil_index() -> Iterator[tuple[str, list[str]]]:
    """A package index that notes who asks."""
    asked: list[str] = []

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple", asked
    server.shutdown()
    server.server_close()


def lock_a_wheel(runner: Runner, *, tampered: bool = False) -> None:
    """A locked requirement that needs no network: a small wheel by its hash."""
    wheel = runner.action / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small.py", "there = True\n")
        archive.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        archive.writestr(
            "small-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("small-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes() + (b"!" if tampered else b"")).hexdigest()
    (runner.action / "requirements/runtime.txt").write_text(f"small @ {wheel.as_uri()} --hash=sha256:{digest}\n")


def test_the_installation_ignores_the_users_pip_configuration_and_the_workspace(
    runner: Runner, evil_index: tuple[str, list[str]]
) -> None:
    """Evil pip.conf, PIP_* variables, pyproject.toml, pip.py and sitecustomize.py all around."""
    index, asked = evil_index
    evil = f"[global]\nindex-url = {index}\nextra-index-url = {index}\ntarget = {runner.home}\n"
    for place in (".pip/pip.conf", ".config/pip/pip.conf"):
        (runner.home / place).parent.mkdir(parents=True, exist_ok=True)
        (runner.home / place).write_text(evil)
    (runner.workspace / "pip.conf").write_text(evil)
    lock_a_wheel(runner)

    code, said = runner.run(
        "install",
        PIP_CONSTRAINT=str(runner.workspace / "pip.conf"),
        PIP_PROXY=index,
        PIP_TARGET=str(runner.home),
        PIP_NO_REQUIRE_HASHES="1",
    )

    assert code == 0, said
    assert asked == [] and not runner.evil.exists()
    python = runner.output.read_text().removeprefix("python=").strip()
    assert Path(python).is_relative_to(runner.temp)
    shown = subprocess.run(
        [python, "-I", "-c", "import small, ops_agent"], capture_output=True, text=True, env=runner.environment()
    )
    assert (shown.returncode, shown.stdout) == (0, "ours\n"), shown.stderr


def by_name(runner: Runner, folder: Path, *, tampered: bool = False) -> None:
    """The same requirement by its name, its wheel in `folder`: it has to be found somewhere."""
    lock_a_wheel(runner, tampered=tampered)
    lock = runner.action / "requirements/runtime.txt"
    lock.write_text(f"small==1.0 --hash={lock.read_text().partition('--hash=')[2]}")
    folder.mkdir()
    (runner.action / "small-1.0-py3-none-any.whl").rename(folder / "small-1.0-py3-none-any.whl")


def test_a_folder_of_files_serves_a_runner_without_an_index_and_hashes_still_count(runner: Runner) -> None:
    """And a second use of the action in the job takes the first one's environment as it is."""
    folder = runner.folder / "wheel house"
    by_name(runner, folder)
    given = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder.as_uri()}
    code, said = runner.run("install", **given)
    assert code == 0, said
    tamper_with(folder / "small-1.0-py3-none-any.whl")
    assert runner.run("install", **given) == (0, "")
    assert len(set(runner.output.read_text().splitlines())) == 1
    runner.begin_a_job()
    code, said = runner.run("install", **given)
    assert code == 6 and "DO NOT MATCH THE HASHES" in said


def tamper_with(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more.py", "")


@pytest.mark.proof
def test_a_self_hosted_runner_keeps_the_wheels_and_believes_them_by_their_hash_alone(runner: Runner) -> None:
    """Any job on the runner can write to the tool cache. A wheel there that is not the locked one costs time only."""
    index, away, tools = runner.folder / "small", runner.folder / "away", runner.folder / "tools"
    by_name(runner, index)
    tools.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(runner.folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    given = {"RUNNER_ENVIRONMENT": "self-hosted", "RUNNER_TOOL_CACHE": str(tools)}
    given["PIP_INDEX_URL"] = f"http://127.0.0.1:{server.server_port}/"

    def install() -> tuple[int, bool]:
        runner.begin_a_job()
        code, _ = runner.run("install", **given)
        python = runner.output.read_text().splitlines()[-1].removeprefix("python=")
        done = subprocess.run([python, "-I", "-c", "import small, more"], capture_output=True, text=True, check=False)
        return code, "No module named 'more'" in done.stderr

    try:
        assert install() == (0, True)
        (kept,) = tools.glob("ops-agent/*/small-1.0-py3-none-any.whl")
        index.rename(away)
        assert install() == (0, True)  # nothing is asked
        tamper_with(kept)
        away.rename(index)
        assert install() == (0, True)
        assert kept.read_bytes() == (index / kept.name).read_bytes()
        tamper_with(kept)
        index.rename(away)
        assert runner.run("install", **given, RUNNER_TEMP=str(tools))[0] == 6
        assert not list(tools.glob("ops-agent/*"))
    finally:
        server.shutdown()
        server.server_close()


def test_a_private_index_is_asked_through_the_proxy_and_trusted_by_the_given_certificates(runner: Runner) -> None:
    """What an index of a company needs: its address with a login, the proxy's login, and the company's authority."""
    folder = runner.folder / "small"
    by_name(runner, folder)
    served: list[str] = []

    class Index(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            served.append(f"{self.path} {self.headers.get('Authorization', '')}")
            super().do_GET()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Index, directory=str(runner.folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with company_network(runner.folder, {"pypi.company.example": ("127.0.0.1", server.server_port)}) as company:
            given = {"PIP_INDEX_URL": "https://me:token@pypi.company.example/", "HTTPS_PROXY": company.url}
            code, said = runner.run("install", **given, CA_CERTIFICATES=company.authority.pem)
            assert code == 0, said
            assert company.hosts == {"pypi.company.example"} and all("Basic " in one for one in served)
    finally:
        server.shutdown()
        server.server_close()


def test_an_index_that_does_not_have_the_files_is_said_with_the_ways_out(
    runner: Runner, evil_index: tuple[str, list[str]]
) -> None:
    by_name(runner, runner.folder / "elsewhere")
    code, said = runner.run("install", PIP_INDEX_URL=evil_index[0])
    assert code == 6 and evil_index[1]
    (error,) = (line for line in said.splitlines() if line.startswith("::error"))
    assert all(way in error for way in ("PIP_INDEX_URL", "PIP_FIND_LINKS", "make wheelhouse", "docs/setup/network.md"))


@pytest.mark.parametrize(
    ("may", "on_path", "machine", "mcp", "locked"),
    [
        ("true", "", "x86_64", "false", "container.txt"),
        ("true", "terraform", "x86_64", "false", "runtime.txt"),
        ("true", "tofu", "x86_64", "", "runtime.txt"),
        ("true", "", "aarch64", "false", "runtime.txt"),
        ("false", "", "x86_64", "false", "runtime.txt"),
        ("false", "", "x86_64", "true", "runtime.txt mcp.txt"),
    ],
)
def test_terraform_comes_along_only_where_the_runner_has_none_and_mcp_only_where_it_is_configured(
    runner: Runner, may: str, on_path: str, machine: str, mcp: str, locked: str
) -> None:
    """`python3.14` stands in for the runner's, and says what pip was asked to install."""
    path = runner.folder / "bin"
    path.mkdir()
    for name in ("mktemp", "mkdir", "ln"):
        (path / name).symlink_to(f"/usr/bin/{name}")
    python = f"""#!/bin/bash
    case "$*" in
      *uname*) [[ {machine} == x86_64 ]] ;;
      *"-m venv"*) mkdir "${{@: -1}}/bin"; ln -s "$0" "${{@: -1}}/bin/python" ;;
      *"pip "*) all="$*"; echo "asked for ${{all#*:all: }}" ;;
      *purelib*) echo "$RUNNER_TEMP" ;;
    esac"""
    for name, script in (("python3.14", python), (on_path or "other", "#!/bin/sh")):
        (path / name).write_text(script)
        (path / name).chmod(0o755)
    code, said = runner.run("install", PATH=str(path), MAY_EMBED=may, WITH_MCP=mcp)
    files = " ".join(f"-r {runner.action}/requirements/{name}" for name in locked.split())
    assert (code, said) == (0, f"asked for {files}\n")


def test_a_wheel_that_is_not_the_locked_one_ends_the_installation(runner: Runner) -> None:
    lock_a_wheel(runner, tampered=True)
    code, said = runner.run("install")
    assert code != 0 and "DO NOT MATCH THE HASHES" in said
    assert not runner.output.exists()


def test_without_a_usable_python_the_step_says_what_to_do(runner: Runner) -> None:
    empty = runner.folder / "bin"
    empty.mkdir()
    (empty / "mktemp").symlink_to("/usr/bin/mktemp")
    old = empty / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    code, said = runner.run("install", PATH=str(empty))
    assert code == 6
    assert said.startswith("::error title=ops-agent::No Python 3.11 to 3.14") and "actions/setup-python" in said


def test_an_interpreter_that_holds_ops_agent_already_is_used_as_it_is(runner: Runner) -> None:
    code, _ = runner.run("install", OPS_AGENT_PYTHON=sys.executable)
    assert code == 0 and runner.output.read_text() == f"python={sys.executable}\n"


def test_files_of_the_workspace_are_never_imported(runner: Runner) -> None:
    """`json.py`, sitecustomize.py and a package `ops_agent` in the working directory and on PYTHONPATH."""
    code, said = runner.run("run", OPS_AGENT_PYTHON=sys.executable, OPS_AGENT_COMMAND="--version")
    assert code == 0 and said.startswith("ops-agent "), said
    assert not runner.evil.exists()


def test_python_takes_the_place_of_the_steps_shell(runner: Runner) -> None:
    """The process that the runner started is Python itself, in RUNNER_TEMP."""
    stub = runner.folder / "python"
    stub.write_text(f"#!{sys.executable}\nimport os, sys\nprint(os.getpid(), os.getcwd(), *sys.argv[1:])\n")
    stub.chmod(0o755)
    process = runner.start("run", OPS_AGENT_PYTHON=str(stub), OPS_AGENT_COMMAND="run", PYTHONHOME="", PYTHONPATH="")
    said, _ = process.communicate(timeout=20)
    assert said.split() == [str(process.pid), str(runner.temp), "-I", "-m", "ops_agent", "run"]
