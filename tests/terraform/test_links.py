"""Symbolic links of a commit: what is seen at their places, and which lead nowhere."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.tree import MemoryTree
from ops_agent.model.change_set import LINK
from ops_agent.model.errors import ConfigError
from ops_agent.terraform import links
from ops_agent.terraform.links import FollowedTree, broken_links, places_of, target_of


def followed(files: Mapping[str, str]) -> FollowedTree:
    """A tree with `files`; links are those whose text begins with `->`."""
    modes = {path: LINK for path, text in files.items() if text.startswith("->")}
    return FollowedTree(MemoryTree({path: text.removeprefix("->") for path, text in files.items()}, modes))


def seen(tree: FollowedTree) -> dict[str, str]:
    """Path -> text of what is a regular file."""
    return {path: tree.read(path).decode() for path, entry in tree.entries().items() if entry.is_regular}


SHARED = {"shared/common.tf": "common", "shared/net/main.tf": "net", "shared/net/inner/data.tf": "data"}


def test_a_link_shows_the_file_or_the_directory_that_it_leads_to() -> None:
    tree = followed(
        SHARED | {"live/dev/common.tf": "->../../shared/common.tf", "live/dev/net": "->../../shared/./net/"}
    )
    assert seen(tree) == SHARED | {
        "live/dev/common.tf": "common",
        "live/dev/net/main.tf": "net",
        "live/dev/net/inner/data.tf": "data",
    }
    assert tree.entries()["live/dev/common.tf"].leads_to == "shared/common.tf"
    assert target_of("live/dev/net/new.tf", tree.entries()) == "shared/net/new.tf"
    assert target_of("shared/net/main.tf", tree.entries()) == ""


def test_links_are_followed_through_others_and_in_linked_directories() -> None:
    tree = followed(
        SHARED | {"shared/net/again.tf": "->../common.tf", "a": "->b", "b": "->shared/net", "c.tf": "->a/again.tf"}
    )
    assert {p: t for p, t in seen(tree).items() if not p.startswith("shared/")} == {
        **{f"{link}/{name}": text for link in "ab" for name, text in
           (("main.tf", "net"), ("inner/data.tf", "data"), ("again.tf", "common"))},
        "c.tf": "common",
    }  # fmt: skip
    assert set(places_of(tree.entries())("shared/common.tf")) == {
        "shared/net/again.tf", "a/again.tf", "b/again.tf", "c.tf"
    }  # fmt: skip
    assert set(places_of(tree.entries())("shared/net/new.tf")) == {"a/new.tf", "b/new.tf"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/etc/passwd", "leads out"),
        ("../../other/x.tf", "leads out"),
        ("../../../shared/common.tf", "leads out"),
        ("out.tf", "in a circle"),
        (".", "in a circle"),
        ("../.git/config", "does not exist"),
        ("missing.tf", "does not exist"),
    ],
)
def test_a_link_that_shows_nothing_is_named_with_the_reason(text: str, why: str) -> None:
    tree = followed(SHARED | {"infra/out.tf": f"->{text}", "infra/main.tf": "x"})
    assert "infra/out.tf" not in seen(tree)
    assert why in broken_links(tree.entries())["infra/out.tf"]


def test_a_file_that_would_make_a_broken_link_whole_is_seen_in_both_places() -> None:
    tree = followed({"infra/late.tf": "->../shared/late.tf", "shared/main.tf": "x"})
    assert places_of(tree.entries())("shared/late.tf") == ("infra/late.tf",)


def test_a_link_that_no_file_system_can_hold_shows_nothing() -> None:
    tree = followed(SHARED | {"long": "->" + "shared/../" * 500 + "shared", "through": "->long/net", "empty": "->"})
    assert seen(tree) == SHARED and broken_links(tree.entries()).keys() == {"long", "through", "empty"}
    tree = followed(SHARED | {"long": "->" + "shared/../" * 300 + "shared"})
    assert "long/net/main.tf" in seen(tree)


def test_links_that_take_too_long_to_follow_are_refused() -> None:
    chain = {f"l{n}": f"->l{n + 1}/" + "./" * 2000 for n in range(20)} | {"l20/x.tf": ""}
    assert "l0/x.tf" in seen(followed(chain))
    many = {f"m{n}": "->l0" for n in range(20)}
    with pytest.raises(ConfigError, match="too many, or too long"):
        followed(chain | many).entries()


def test_links_that_multiply_the_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_SHOWN", 1000)
    files = {f"d{n}/{side}": f"->../d{n + 1}" for n in range(12) for side in "ab"} | {"d12/main.tf": "x"}
    with pytest.raises(ConfigError, match="links"):
        followed(files).entries()


NAMES = ("a", "b", "c")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
TEXTS = st.lists(st.sampled_from((*NAMES, "..", ".")), min_size=1, max_size=5).map("/".join)


@given(st.dictionaries(PATHS, st.one_of(st.none(), TEXTS), min_size=1, max_size=7))
def test_what_is_seen_is_what_a_file_system_shows(wanted: dict[str, str | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        files: dict[str, str] = {}
        for path, text in wanted.items():
            place = root / path
            above = [root / part for part in place.relative_to(root).parents]
            if any(part.is_symlink() or part.is_file() for part in (place, *above)) or place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                place.write_text(path)
                files[path] = path
            else:
                place.symlink_to(text)
                files[path] = f"->{text}"
        tree = followed(files)
        for path, text in seen(tree).items():
            assert (root / path).read_text() == text
            assert (root / path).resolve().relative_to(root).as_posix() == (target_of(path, tree.entries()) or path)
        for path in (p for p, text in files.items() if text.startswith("->")):
            if (root / path).is_file() and (root / path).resolve().is_relative_to(root):
                assert path in seen(tree)
