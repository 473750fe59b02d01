"""The page of `verify`: the text of one pull request of ours brought up to date, or a comment on anybody's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ops_agent.issue.claims import pull_request_record
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.event import RunIdentity
from ops_agent.model.finding import Verdict
from ops_agent.model.verification import CriterionProof, Verification
from ops_agent.pages.criteria import Recorded, state_cell
from ops_agent.pages.fragments import IN_SUMMARY, NOTES, Overflow, details, joined, with_notes
from ops_agent.pages.observability import observability
from ops_agent.pages.plans import plans_text
from ops_agent.pages.pull_request import (
    APPLY_PATCH,
    MAX_BODY,
    ci_cd_facts,
    infrastructure_facts,
    is_ci,
    not_ready,
    validation_facts,
    verdict_section,
)
from ops_agent.pages.results import failed_text, findings_list
from ops_agent.pages.summary import first_screen, headline_of
from ops_agent.text.markdown import cell, code, cut_markdown, fit
from ops_agent.workflows.merging import MergeEffect

_MARK = re.compile(r"<!-- ops-agent:verified ([0-9a-f]{40,64}) ([0-9a-f]{40,64}) -->")
_MAX_SECTIONS: Final = 42_000
_MIN_SECTIONS: Final = 15_000
_MAX_SUMMARY: Final = 20_000
_SLACK: Final = 500
_REPLACED: Final = ("Guard verdict", "Terraform plan")
_FACTS: Final = ("Infrastructure changes", "CI/CD changes", "Observability & logging", "Validation")
_TITLES: Final = (
    "Description",
    *_FACTS,
    "Linked issue",
    "Guard verdict",
    "Acceptance criteria",
    "Terraform plan",
    "Provenance",
)
_AGENTS_WORDS: Final = "\n> *In the agent's words:*\n"
_WRITTEN = re.compile(r"<!-- ops-agent:written ([0-9a-f]{16}) -->\n\n")
_EDITED: Final = (
    "> [!WARNING]\n> **This text is not up to date:** somebody edited it, or the new one does not fit. The newest "
    "verification is in ops-agent's comment below.\n\n"
)
NOTHING: Final = "the pull request changes no Terraform and no workflow."
IN_THE_TEXT: Final = "the newest verification is in the text of the pull request."
_OLD_BASE: Final = "> Made and planned on "


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was verified. `notes` are sentences of ours, already Markdown; `merges` is what a merge applies,
    `said` what the agent of our own pull request said, `evaluated` False when its criteria could not be looked at."""

    head_commit: str
    base_branch: str
    base_commit: str
    changes: ChangeSet
    verdict: Verdict
    verification: Verification
    merges: tuple[MergeEffect, ...]
    notes: tuple[str, ...]
    said: Recorded | None
    evaluated: bool
    run: RunIdentity
    redact: Callable[[str], str]

    @property
    def mark(self) -> str:
        """One line that says of which commits the text is."""
        return f"<!-- ops-agent:verified {self.head_commit} {self.base_commit} -->"

    @property
    def why(self) -> dict[tuple[str, str], str]:
        """The agent's reasons for findings."""
        return {(rule, where): self.redact(why) for rule, where, why in (self.said.reasons if self.said else ())}

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Why this must not be merged as it is."""
        others = [] if self.said is None or self.said.finished else ["the agent did not finish"]
        others += [] if self.evaluated else ["the acceptance criteria were not evaluated again"]
        return not_ready(self.verdict, self.verification, *others)

    @property
    def headline(self) -> str:
        return self.redact(headline_of(self.verdict, self.verification))

    def first_screen(self, overflow: Overflow) -> str:
        screen = first_screen(
            self.verdict,
            self.verification,
            self.merges,
            self.base_branch,
            self.unfinished,
            self.redact,
            overflow,
            self.why,
            has_workflows=any(map(is_ci, self.changes.paths)),
        )
        return joined(screen, "> [!NOTE]\n" + "\n>\n".join(f"> {note}" for note in self._notes), self.mark)

    @property
    def _notes(self) -> Sequence[str]:
        by = f" by [run {self.run.run_id}]({self.run.url})" if self.run.run_id else ""
        where = f"{self.head_commit[:12]} on {code(self.base_branch)} at {self.base_commit[:12]}"
        return (f"Verified without a model{by}: {where}. Nothing was applied.", *self.notes)


def verified_commits(text: str) -> tuple[str, str] | None:
    """(head, base) that a text of ours is about; None when it is about none."""
    found = _MARK.search(text)
    return (found[1], found[2]) if found else None


def comment_of(verified: Verified) -> tuple[str, str]:
    """The comment on a pull request, and what did not fit into it."""
    overflow = Overflow()
    redact, verification = verified.redact, verified.verification
    sections = {
        "first_screen": verified.first_screen(overflow),
        "verdict": verdict_section(verified.verdict, verification.targets, redact, overflow, verified.why),
        "changes": infrastructure_facts(verified.changes, verification),
        "checks": validation_facts(verification, verified.verdict, redact),
    }
    kept = _cut(sections, overflow, _MAX_SECTIONS)
    text = joined(
        "<!-- ops-agent:verify -->",
        "## Terraform verification",
        kept["first_screen"],
        f"### Verdict\n\n{kept['verdict']}",
        f"### Infrastructure changes\n\n{kept['changes']}",
        details("Checks", kept["checks"]),
    )
    plans = plans_text(verification.targets, MAX_BODY - _SLACK - len(text), overflow) if verification.targets else ""
    return redact(joined(text, f"### Terraform plan\n\n{plans}" if plans else "")), redact(overflow.text)


def summary_of(verified: Verified, reason: str) -> str:
    """The summary of the check run: what blocks; the rest is in the pull request."""
    redact = verified.redact
    where = f"Commit {verified.head_commit[:12]} on {code(verified.base_branch)} at {verified.base_commit[:12]}."
    blocking = findings_list(verified.verdict.blocking, redact)
    failed = failed_text(verified.verification.failed, redact)
    text = joined(f"**{verified.headline}**", cell(reason), where, blocking, failed)
    return redact(cut_markdown(text, _MAX_SUMMARY)[0])


def short_comment(verified: Verified, note: str) -> str:
    """The comment that is there already, when nothing but the `note` is left to say in it."""
    said = f"Commit {verified.head_commit[:12]}: {note}"
    return joined("<!-- ops-agent:verify -->", "## Terraform verification", said, verified.mark)


def body_of(verified: Verified, body: str) -> tuple[str, str] | None:
    """`body`, the text of our own pull request, with the facts of `verified`, and what did not fit. The agent's words
    and the record at its end stay. None when a person has changed our headings or what would be replaced.
    """
    body = body.replace("\r\n", "\n").replace(_EDITED, "")
    parts, written = _parts(body), _WRITTEN.search(body)
    if parts is None or (written and written[1] != _digest(parts)):
        return None
    overflow, redact, verification = Overflow(), verified.redact, verified.verification
    facts = {
        "Infrastructure changes": infrastructure_facts(verified.changes, verification),
        "CI/CD changes": ci_cd_facts(verified.changes, verification, verified.merges),
        "Observability & logging": observability(verification),
        "Validation": validation_facts(verification, verified.verdict, redact),
    }
    if any(APPLY_PATCH in line and line[0] not in ">-" for line in parts["CI/CD changes"].split("\n")):
        del facts["CI/CD changes"]  # it holds the workflow files that could not be committed
    new = {title: joined(text, _words(parts[title])) for title, text in facts.items()}
    new["Guard verdict"] = verdict_section(verified.verdict, verification.targets, redact, overflow, verified.why)
    new[""] = joined(with_notes(verified.first_screen(overflow), _alert(parts[""])), _words(parts[""]))
    others = sum(len(text) for title, text in parts.items() if title not in new and title != "Terraform plan")
    parts |= _cut(new, overflow, max(_MIN_SECTIONS, _MAX_SECTIONS - others))
    if verified.evaluated:
        parts["Acceptance criteria"] = _with_states(parts["Acceptance criteria"], verification.criteria, redact)
    parts["Terraform plan"] = ""
    room = MAX_BODY - _SLACK - len(_joined(parts))
    parts["Terraform plan"] = plans_text(verification.targets, room, overflow)
    return stamped(redact(_joined(parts))), redact(overflow.text)


def as_edited(body: str) -> str:
    """`body`, which people have edited, with a warning above our first screen; as it is when that is theirs too."""
    body = body.replace("\r\n", "\n").replace(_EDITED, "")
    return f"{_EDITED}{body}" if _parts(body) else body


def was_edited(body: str) -> bool:
    """Whether people changed what we write anew in the text of our pull request."""
    body = body.replace("\r\n", "\n").replace(_EDITED, "")
    parts, written = _parts(body), _WRITTEN.search(body)
    return written is not None and (parts is None or written[1] != _digest(parts))


def stamped(body: str) -> str:
    """`body` of our pull request with a line that is not shown, by which `body_of` sees that people edited it."""
    body = _WRITTEN.sub("", body)
    parts, record = _parts(body), pull_request_record(body)
    if parts is None or record is None:
        return body
    at = body.rindex("<!-- ops-agent:pull-request ")
    return f"{body[:at]}<!-- ops-agent:written {_digest(parts)} -->\n\n{body[at:]}"


def _digest(parts: Mapping[str, str]) -> str:
    """Of everything that `body_of` replaces."""
    ours = [parts[title].removesuffix(_words(parts[title])).strip() for title in ("", *_FACTS, *_REPLACED)]
    return hashlib.sha256(json.dumps(ours).encode()).hexdigest()[:16]


def _cut(sections: dict[str, str], overflow: Overflow, most: int) -> dict[str, str]:
    kept, rest = fit(sections, most)
    for name, markdown in rest.items():
        overflow.add(f"{(name or 'first screen').replace('_', ' ').capitalize()}, continued", markdown)
        kept[name] += f"\n\n*(cut here: the rest is {IN_SUMMARY})*"
    return kept


# Our text, taken apart by its headings. Whatever the agent wrote is quoted, so no line of it is a heading.


def _parts(body: str) -> dict[str, str] | None:
    """The text below each of our headings, and above the first (``); None unless each is there, in our order."""
    text, parts, title = "\n" + body.replace("\r\n", "\n"), dict[str, str](), ""
    for following in _TITLES:
        line = f"\n## {following}\n"
        # The plans are text of Terraform's: what comes after them is looked for from the end.
        at = text.rfind(line) if following == "Provenance" else text.find(line)
        if at < 0:
            return None
        parts[title], text, title = text[:at].strip("\n"), text[at + len(line) - 1 :], following
    return parts | {title: text.strip("\n")}


def _joined(parts: dict[str, str]) -> str:
    return joined(*(f"## {title}\n\n{text}" if title else text for title, text in parts.items()))


def _words(section: str) -> str:
    """The agent's words in a section: the quotation at its end."""
    at = f"\n{section}".find(_AGENTS_WORDS)
    return section[at:] if at >= 0 else ""


def _alert(top: str) -> tuple[str, ...]:
    """What publication noted below the first line; that the base has moved on is no longer so."""
    alert = next((part for part in top.split("\n\n") if part.startswith(NOTES)), "").split("\n")
    return tuple(line.removeprefix("> ") for line in alert[1:] if not line.startswith(_OLD_BASE) and line != ">")


def _with_states(table: str, proofs: Sequence[CriterionProof], redact: Callable[[str], str]) -> str:
    """The table of criteria with the states of `proofs` in its third column."""
    known = {proof.criterion_id: proof for proof in proofs}
    lines = table.split("\n")
    for number, line in enumerate(lines):
        cells = line.split(" | ")
        id_ = cells[0].removeprefix("| ")
        if line.startswith("| ") and len(cells) == 4 and id_ in known:
            cells[2] = state_cell(known[id_], redact)
            lines[number] = " | ".join(cells)
    return "\n".join(lines)
