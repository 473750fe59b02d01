"""The container form, built from the Dockerfile and run: with docker, or with podman on a Debian base without any image
registry.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from entry_points.action_files import ROOT
from entry_points.action_runner import Runner
from entry_points.hanging_github import event_variables, hanging_github, wait_for_the_run

__all__ = ["hanging_github"]
pytestmark = [pytest.mark.container, pytest.mark.timeout(900), pytest.mark.xdist_group("container")]

TAG = "localhost/ops-agent-test"
BASE = "localhost/ops-agent-test-base"
# podman 4 with runc: crun fails on hybrid cgroups, and runc may not raise limits.
PODMAN_FLAGS = ["--runtime", "runc", "--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:1024"]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Engine:
    """docker or podman, with the flags that building and running need."""

    program: str
    flags: tuple[str, ...]

    def __call__(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self("run", "--rm", "--network", "host", *self.flags, *arguments, check=check)


def find_engine() -> tuple[Engine | None, str]:
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, timeout=30).returncode == 0:
        return Engine("docker", ()), ""
    missing = [name for name in ("podman", "runc", "debootstrap") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        return None, f"no docker daemon, and podman cannot be used: {', '.join(missing) or 'not root'}"
    return Engine("podman", tuple(PODMAN_FLAGS)), ""


@pytest.fixture(scope="module")
def engine() -> Engine:
    found, reason = find_engine()
    if found is None:
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The built image. With podman the base that FROM names is replaced by a Debian with Python, made once and kept."""
    base: list[str] = []
    if engine.program == "podman":
        if engine("image", "exists", BASE, check=False).returncode != 0:
            make_base(engine, tmp_path_factory.mktemp("base"))
        base = ["--from", BASE]
    engine("build", "--network", "host", *engine.flags, *base, "--tag", TAG, str(ROOT), timeout=800)
    return TAG


def make_base(engine: Engine, folder: Path) -> None:
    packages = "--include=python3,python3-pip,ca-certificates"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "bookworm", str(folder / "root")],
        capture_output=True,
        timeout=600,
    )
    if made.returncode != 0:
        pytest.skip("debootstrap could not reach Debian's packages")
    archive = subprocess.Popen(["tar", "-C", str(folder / "root"), "-c", "."], stdout=subprocess.PIPE)
    subprocess.run(
        [engine.program, "import", "-", f"{BASE}:debian"],
        stdin=archive.stdout,
        check=True,
        capture_output=True,
        timeout=300,
    )
    archive.wait()
    shutil.rmtree(folder / "root")
    shutil.copy(CERTIFICATES, folder / "certificates.crt")
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}:debian\nCOPY certificates.crt {CERTIFICATES}\n"
        "RUN ln -s /usr/bin/python3 /usr/local/bin/python3 && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED\n"
    )
    engine("build", *engine.flags, "--tag", BASE, str(folder), timeout=300)


def test_the_image_starts_as_root_by_an_entry_in_exec_form_without_a_working_directory(
    engine: Engine, image: str
) -> None:
    settings = json.loads(engine("image", "inspect", image).stdout)[0]["Config"]
    assert settings.get("User", "") == "" and settings.get("WorkingDir", "") in ("", "/")
    assert settings["Entrypoint"] == [
        "/usr/bin/env",
        "-C",
        "/opt/ops-agent",
        "/usr/local/bin/python3",
        "-I",
        "-m",
        "ops_agent",
    ]
    assert settings["Cmd"] == ["run"]
    assert engine.run(image, "--version").stdout.startswith("ops-agent ")


def test_the_image_holds_no_setuid_file_and_no_installer(engine: Engine, image: str) -> None:
    assert engine.run("--entrypoint", "/usr/bin/find", image, "/", "-xdev", "-perm", "/6000", "-type", "f").stdout == ""
    if not engine.flags:  # Debian's own pip in podman's base is no distribution that pip could take away
        assert (
            engine.run(
                "--entrypoint", "/usr/local/bin/python3", image, "-I", "-m", "pip", "--version", check=False
            ).returncode
            != 0
        )


def test_terraform_runs_in_the_container_and_cannot_read_the_process_that_started_it(
    engine: Engine, image: str
) -> None:
    """Children have a uid of their own; the doctor proves it with a canary."""
    said = engine.run(image, "doctor").stdout
    assert "(embedded)" in said and "cannot read this process (tried with a canary)" in said
    assert "actionlint runs" in said and "zizmor runs" in said


def test_files_of_the_workspace_are_not_imported_in_the_container(engine: Engine, image: str, tmp_path: Path) -> None:
    """GitHub starts the container with the workspace as its working directory."""
    (tmp_path / "json.py").write_text("raise SystemExit('evil')\n")
    done = engine.run(
        "--volume",
        f"{tmp_path}:/github/workspace",
        "--workdir",
        "/github/workspace",
        "--env",
        "PYTHONPATH=.",
        image,
        "--version",
    )
    assert done.stdout.startswith("ops-agent ")


def test_sigterm_ends_the_container_in_seconds(engine: Engine, image: str, tmp_path: Path, hanging_github: str) -> None:
    """The run hangs on GitHub; process 1 hears the signal."""
    runner = Runner(tmp_path)
    variables = event_variables(runner, hanging_github)
    given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    name = f"ops-agent-test-{os.getpid()}"
    engine(
        "run",
        "--detach",
        "--name",
        name,
        "--network",
        "host",
        *engine.flags,
        "--volume",
        f"{tmp_path}:{tmp_path}",
        *given,
        image,
    )
    try:
        wait_for_the_run(hanging_github)
        began = time.monotonic()
        engine("kill", "--signal", "TERM", name)
        assert engine("wait", name).stdout.strip() == "130", engine("logs", name).stdout
        assert time.monotonic() - began < 5
    finally:
        engine("rm", "--force", name, check=False)
