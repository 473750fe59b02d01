"""Why a module was not fetched, as findings: which call in which file, from which host, and what to do about it."""

from __future__ import annotations

import posixpath
import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from ops_agent.adapters.terraform.diagnostics import (
    MODULE_TITLE,
    MOST,
    PrintedError,
    finding,
    from_text,
    printed_errors,
)
from ops_agent.adapters.terraform.module_hosts import ModuleCredentials
from ops_agent.model.finding import Finding, Place
from ops_agent.terraform.module_sources import ModuleCall, ModuleSource, SourceKind, read_module_source, shown_source

CHECK = "modules"
WRONG_BASE = "The base branch's modules cannot be loaded"
PLAIN_HTTP = "plain-http-is-refused.invalid"
VENDOR = "copy the module into the repository and call it by its path (`./modules/NAME`)"
_SETUP = "(docs/setup/modules.md)"
_GIVE = f"Give `{{name}}=<token that may read it>` in the input `module_credentials` {_SETUP}."
_STILL_THERE = "Check whether the module is still there under this name, and"

# Summaries of Terraform's errors that are about fetching.
_OF_FETCH = re.compile(
    r"Failed to download module|Error accessing remote module registry|Module not found|Failed to expand subdir globs|"
    r"Unresolvable module version|Unreadable module|Invalid (?:response|package location) from|"
    r"Unable to evaluate directory symlink|Failed to remove local"
)


def _answer(pattern: str, remedy: str, with_token: str = "") -> tuple[re.Pattern[str], str, str]:
    return re.compile(pattern, re.IGNORECASE), remedy, with_token or remedy


# Answers after which no other try helps, each with its remedy, and with the one when a token was given. The first that
# matches counts: a missing ref is also "not found".
_ANSWERS = (
    _answer(
        re.escape(PLAIN_HTTP),
        "Its host points to an address of plain http, which proves nothing about who answers. Serve it over https, "
        f"or {VENDOR}.",
    ),
    _answer(
        r"git must be available and on the PATH",
        "Install git on the runner, or use a source that needs none (a registry's archive).",
    ),
    _answer(
        r"invalid ref|pathspec|remote branch \S+ not found|couldn't find remote ref|unable to find remote ref",
        "The branch, tag or commit after `?ref=` is not there (any more): correct it in the repository.",
    ),
    _answer(
        r"no (?:available|matching|module) (?:releases|versions?)|Unresolvable module version|"
        r"matching the version constraint",
        "No version of the registry satisfies `{version}`: correct the constraint, or publish the version.",
    ),
    _answer(
        r"subdir .* not found|Unreadable module|does not contain|no such file or directory",
        "The path after `//` is not in the package: correct the source in the repository.",
    ),
    _answer(
        r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|\b40[13]\b|"
        r"unauthorized|forbidden|access denied",
        _GIVE,
        f"{{host}} does not take the given token for this module: check that it lives and may read it {_SETUP}.",
    ),
    _answer(
        r"not found|cannot be found|\b404\b|does not exist|does not appear to be a git",
        f"{_STILL_THERE} whether it is private: then give a token for {{host}} in `module_credentials` {_SETUP}.",
        f"{_STILL_THERE} whether the given token may read it {_SETUP}.",
    ),
)
_NO_ANSWER = (
    "From this runner {host} does not answer as a module host. Start the run again; if it repeats, open the way, or "
    f"{VENDOR}."
)
_NOISE = re.compile(r"Cloning into '[^']*'\.\.\. ?")
_FOLDER = re.compile(r'subdir "(?P<folder>[^"]+)" not found')
_INSIDE = re.compile(r"(?:^|/)modules/(?P<key>[^/]+)/")


def at_call(root: str, call: ModuleCall, why: str, remedy: str) -> Finding:
    """A finding at the call of a module that is not fetched."""
    source = shown_source(call.source or "a computed source")
    what = f"Module `{call.key}` of the root `{root}` cannot be fetched from `{source}`: {why}"
    found = finding(CHECK, "", textwrap.shorten(what, 1_000, placeholder="…"), title=MODULE_TITLE)
    return replace(found, place=Place(path=call.path, line=call.line), remedy=remedy)


def refusal(root: str, call: ModuleCall, credentials: ModuleCredentials) -> Finding | None:
    """Why `call` is not even tried, None when it is."""
    source = read_module_source(call.source or "")
    if source.kind is SourceKind.REFUSED:
        remedy = f"Take it from git or an archive over https, or from a registry; or {VENDOR}."
        return at_call(root, call, source.why, remedy)
    if source.kind is SourceKind.SSH and not credentials.serve(source):
        why = f"there is no ssh key here, and no token of `{source.host}` to fetch it over https instead"
        return at_call(root, call, why, _GIVE.format(name=source.host))
    return None


def failures(root: str, text: str, calls: Sequence[ModuleCall], credentials: ModuleCredentials) -> tuple[Finding, ...]:
    """Findings of what Terraform printed when it ended with an error; none when nothing in it is an error of
    Terraform's.
    """
    errors = [*printed_errors(text)][:MOST]
    if not any(_OF_FETCH.match(error.summary) for error in errors):
        # `get` of 1.15 loads what came, and gives no manifest when the base's own files are wrong.
        remedy = (
            "Correct this on the base branch first: modules from outside are fetched as the base branch calls them."
        )
        return tuple(replace(found, title=WRONG_BASE, remedy=remedy) for found in from_text(CHECK, root, text))
    return tuple(dict.fromkeys(_failure(root, error, calls, credentials) for error in errors))


def may_pass(findings: Sequence[Finding]) -> bool:
    """Whether another try may help: nothing of what was said is an answer of the host's."""
    return not any(f.title == WRONG_BASE or any(answer.search(f.what) for answer, *_ in _ANSWERS) for f in findings)


def _failure(root: str, error: PrintedError, calls: Sequence[ModuleCall], credentials: ModuleCredentials) -> Finding:
    place = posixpath.normpath(posixpath.join(root, error.file)) if error.file else root
    name, _, why = error.module or ("", "", error.text)
    why = shown_source(_NOISE.sub("", why)).strip(" .") or "the module was not found there"
    call = _call_of(error, place, name, calls)
    if call is None:
        found = finding(CHECK, root, why, file=error.file, line=error.line, title=MODULE_TITLE)
        return replace(found, remedy=_remedy(why, ModuleSource(kind=SourceKind.GIT), "", credentials))
    if error.line and (place, error.line) != (call.path, call.line):
        why = f"a module that it calls ({posixpath.basename(place)}): {why}"
    return at_call(root, call, why, _remedy(why, read_module_source(call.source or ""), call.version, credentials))


def _call_of(error: PrintedError, path: str, name: str, calls: Sequence[ModuleCall]) -> ModuleCall | None:
    """The call of the repository that an error is about: the one at that place, or the one whose package holds it."""
    at_place = next((c for c in calls if (c.path, c.line) == (path, error.line)), None)
    if at_place is not None:
        return at_place
    if folder := _FOLDER.search(error.detail):
        return next((c for c in calls if f"//{folder['folder']}" in (c.source or "")), None)
    if inside := _INSIDE.search(path):
        return next((c for c in calls if c.key == inside["key"]), None)
    return next((c for c in calls if name in (c.key, c.key.rpartition(".")[2])), None)


def _remedy(why: str, source: ModuleSource, version: str, credentials: ModuleCredentials) -> str:
    remedies = next((remedies for answer, *remedies in _ANSWERS if answer.search(why)), [_NO_ANSWER, _NO_ANSWER])
    return remedies[credentials.serve(source)].format(
        host=f"`{source.host}`" if source.host else "its host",
        name=source.host or "HOST",
        version=version or "any version",
    )
