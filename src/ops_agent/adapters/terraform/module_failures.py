"""Why a module was not fetched, as findings: which call in which file, from which host, and what to do about it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace

from ops_agent.adapters.terraform.module_credentials import ModuleCredentials
from ops_agent.adapters.terraform.terraform_diagnostics import from_text
from ops_agent.core.sources.module_sources import ModuleCall, ModuleSource, SourceKind, read_module_source, shown_source
from ops_agent.domain.verdict import Finding, Place

CHECK, TITLE = "modules", "A module cannot be fetched"
WRONG_BASE = "The base branch's modules cannot be loaded"
_WRONG_REMEDY = "Correct this on the base branch first: modules from outside are fetched by what stands there."
PLAIN_HTTP = "plain-http-is-refused.invalid"
_SETUP = "(docs/setup/modules.md)"
_VENDOR = "copy the module into the repository and call it by its path (`./modules/NAME`)"
_GIT_MISSING = re.compile(r"git must be available and on the PATH", re.IGNORECASE)
_DENIED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|\b40[13]\b|unauthorized|forbidden|access denied",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"not found|cannot be found|\b404\b|does not exist|does not appear to be a git", re.IGNORECASE)
_NO_REF = re.compile(r"invalid ref|pathspec|[Rr]emote branch \S+ not found|couldn't find remote ref|unable to find remote ref")
_NO_VERSION = re.compile(
    r"no (?:available|matching|module) (?:releases|versions?)|Unresolvable module version|matching the version constraint", re.IGNORECASE
)
_NO_FOLDER = re.compile(r"subdir .* not found|Unreadable module|does not contain|no such file or directory", re.IGNORECASE)
_OF_FETCH = re.compile(
    r"^Error: (?:Failed to download module|Error accessing remote module registry|Module not found|Failed to expand subdir globs|"
    r"Unresolvable module version|Unreadable module|Invalid (?:response|package location) from|Unable to evaluate directory symlink|"
    r"Failed to remove local)",
    re.MULTILINE,
)
_NOISE = re.compile(r"Cloning into '[^']*'\.\.\. ?")
_FOLDER = re.compile(r'subdir "(?P<folder>[^"]+)" not found')
_PLACE_INSIDE = re.compile(r"(?:^|/)modules/(?P<key>[^/]+)/")


def refusal(root: str, call: ModuleCall, source: ModuleSource, credentials: ModuleCredentials) -> Finding | None:
    """Why `call` is not even tried, None when it is."""
    if source.kind is SourceKind.REFUSED:
        return found(root, call, source.why, f"Take it from git or an archive over https, or from a registry; or {_VENDOR}.")
    if source.kind is SourceKind.SSH and not credentials.rewritten(source):
        why = f"there is no ssh key here, and no token of `{source.host}` to fetch it over https instead"
        return found(root, call, why, f"Give `{source.host}=<token that may read it>` in the input `module_credentials` {_SETUP}.")
    return None


def found(root: str, call: ModuleCall, why: str, remedy: str) -> Finding:
    """A finding at the call."""
    source = shown_source(call.source or "a computed source")
    what = f"Module `{call.key}` of the root `{root}` cannot be fetched from `{source}`: {why}"
    return Finding(
        rule=f"check/{CHECK}", title=TITLE, place=Place(path=call.path, line=call.line), what=cut_at_word(what, 1_000), remedy=remedy
    )


def cut_at_word(text: str, most: int) -> str:
    """`text` in at most `most` characters, cut where a word ends."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    if text[most - 1].isalnum() and (end := kept.rfind(" ")) > most // 2:  # one long word is cut inside: better than nothing
        kept = kept[:end]
    return kept.rstrip(" ,;:.") + "…"


def failures(root: str, text: str, calls: Sequence[ModuleCall], credentials: ModuleCredentials) -> tuple[Finding, ...]:
    """Findings of what Terraform printed when it ended with an error; none when nothing in it is an error of Terraform's."""
    told = []
    if not _OF_FETCH.search(text):
        # `get` of 1.15 loads what came, and gives no manifest when the base's own files are wrong.
        return tuple(replace(raw, title=WRONG_BASE, remedy=_WRONG_REMEDY) for raw in from_text(CHECK, root, text))
    for raw in from_text(CHECK, root, text):
        call = _call_of(raw, calls)
        said = raw.what.partition("cannot be fetched from `")[2].partition("`: ")[2] or raw.what
        why = shown_source(_NOISE.sub("", said)).strip(" .") or "the module was not found there"
        if call is None:
            remedy = _remedy(why, ModuleSource(kind=SourceKind.GIT), "", credentials)
            told.append(replace(raw, title=TITLE, what=why, remedy=remedy))
            continue
        nested = raw.place.line > 0 and (raw.place.path, raw.place.line) != (call.path, call.line)
        why = f"a module that it calls ({posixpath.basename(raw.place.path)}): {why}" if nested else why
        told.append(found(root, call, why, _remedy(why, read_module_source(call.source or ""), call.version, credentials)))
    return tuple(dict.fromkeys(told))


def is_passing(findings: Sequence[Finding]) -> bool:
    """Whether another try may help: nothing of what was said is an answer of the host's."""
    if any(f.title == WRONG_BASE for f in findings):
        return False
    final = (_GIT_MISSING, _DENIED, _ABSENT, _NO_REF, _NO_VERSION, _NO_FOLDER)
    words = [f.what for f in findings]
    return bool(words) and not any(PLAIN_HTTP in said or any(pattern.search(said) for pattern in final) for said in words)


def _remedy(why: str, source: ModuleSource, version: str, credentials: ModuleCredentials) -> str:
    host = f"`{source.host}`" if source.host else "its host"
    given = credentials.serve(source)
    if PLAIN_HTTP in why:
        return f"Its host points to an address of plain http, which proves nothing about who answers. Serve it over https, or {_VENDOR}."
    if _GIT_MISSING.search(why):
        return "Install git on the runner, or use a source that needs none (a registry's archive)."
    if _NO_REF.search(why):
        return "The branch, tag or commit after `?ref=` is not there (any more): correct it in the repository."
    if _NO_VERSION.search(why):
        return f"No version of the registry satisfies `{version or 'any version'}`: correct the constraint, or publish the version."
    if _NO_FOLDER.search(why):
        return "The path after `//` is not in the package: correct the source in the repository."
    if _DENIED.search(why):
        if given:
            return f"{host} does not take the given token for this module: check that it lives and may read it {_SETUP}."
        return f"Give `{source.host or 'HOST'}=<token that may read it>` in the input `module_credentials` {_SETUP}."
    if _ABSENT.search(why):
        also = (
            "whether the given token may read it"
            if given
            else f"whether it is private: then give a token for {host} in `module_credentials`"
        )
        return f"Check whether the module is still there under this name, and {also} {_SETUP}."
    return f"From this runner {host} does not answer as a module host. Start the run again; if it repeats, open the way, or {_VENDOR}."


def _call_of(raw: Finding, calls: Sequence[ModuleCall]) -> ModuleCall | None:
    """The call of the repository that a finding is about: the one that stands there, or the one whose package holds the place."""
    at_place = next((c for c in calls if (c.path, c.line) == (raw.place.path, raw.place.line)), None)
    if at_place is not None:
        return at_place
    folder = _FOLDER.search(raw.what)
    if folder is not None:
        return next((c for c in calls if f"//{folder['folder']}" in (c.source or "")), None)
    inside = _PLACE_INSIDE.search(raw.place.path)
    keys = [inside["key"]] if inside else re.findall(r"[Mm]odule `([^`]+)`", raw.what)
    return next((c for c in calls for key in keys if c.key == key or (inside is None and c.key.rpartition(".")[2] == key)), None)
