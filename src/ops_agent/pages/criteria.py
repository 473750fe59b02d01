"""The acceptance criteria of the issue: what is proved, by what, and what stays open."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from ops_agent.model.conversation import Assertion, CriterionAnswer, Ending, FollowUp
from ops_agent.model.event import IssueRef
from ops_agent.model.finding import Dispute, Verdict
from ops_agent.model.verification import CriterionProof, ProofState, TargetVerification, Verification
from ops_agent.model.work_item import Criterion, WorkItem
from ops_agent.pages.fragments import capped, counted, details, joined
from ops_agent.plan.evidence import touched_by
from ops_agent.text.markdown import cell, code, list_item, neutralise, one_line

MAX_CRITERIA: Final = 50
_MAX_CELL: Final = 300
_MAX_BEYOND: Final = 30
_MAX_EVIDENCE: Final = 60
_MAX_LINK: Final = 4_000
_MAX_FOLLOW_UPS: Final = 10
_MAX_IDS: Final = 5
_MAX_BEGINNING: Final = 80
MAX_RECORD: Final = 8_000
_RECORD: Final = "<!-- ops-agent:evidence % -->"
_ACTS: Final = re.compile(r"[#@<>/-]")
_PROVED: Final = (ProofState.BY_PLAN, ProofState.BY_FILE)
_LEFT: Final = (ProofState.PARTLY, ProofState.OPEN, ProofState.REFUTED)
"""What makes a draft, and wants a follow-up issue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the agent said, kept for a later look: which criteria there are (`ids`), its answers with their evidence,
    why findings stay (rule, place or address, reason), what it disputes, and whether it finished.
    """

    ids: tuple[str, ...]
    answers: tuple[CriterionAnswer, ...]
    reasons: tuple[tuple[str, str, str], ...]
    finished: bool
    disputes: tuple[Dispute, ...] = ()


_RECORDED: Final = TypeAdapter(Recorded)


def criteria_headline(proofs: Sequence[CriterionProof]) -> str:
    """`4 of 5 criteria proved, 1 open (AC2)`; empty for an issue without criteria."""
    if not proofs:
        return ""
    proved = [proof for proof in proofs if proof.state in _PROVED]
    before = [proof for proof in proved if proof.on_base]
    partly = [proof for proof in proved if proof.why and not proof.on_base]
    others = [
        (before, "already so on the base branch"),
        (partly, "in some environments only"),
        ([proof for proof in proofs if proof.state is ProofState.SEEN], "seen in a file only"),
        ([proof for proof in proofs if proof.state is ProofState.CLAIMED], "claimed only"),
        ([proof for proof in proofs if proof.state is ProofState.REFUTED], "not met"),
        ([proof for proof in proofs if proof.state is ProofState.PARTLY], "partly met"),
        ([proof for proof in proofs if proof.state is ProofState.OPEN], "open"),
    ]
    shown = f"{len(proved) - len(before) - len(partly)} of {len(proofs)} criteria proved"
    return ", ".join([shown, *(f"{len(found)} {words} ({_ids(found)})" for found, words in others if found)])


def _ids(proofs: Sequence[CriterionProof]) -> str:
    more = ["…"] if len(proofs) > _MAX_IDS else []
    return ", ".join([*(cell(proof.criterion_id) for proof in proofs[:_MAX_IDS]), *more])


def unproved(proofs: Sequence[CriterionProof], texts: Mapping[str, str]) -> tuple[str, ...]:
    """Why the criteria make a draft, one clause each; nothing when every one is proved, or some are and the rest
    claimed or seen. `texts`: what the criteria say, redacted, by id.
    """
    if open_ := [proof for proof in proofs if proof.state in _LEFT]:
        named = [
            f"{cell(one.criterion_id)} is {'partly met' if one.state is ProofState.PARTLY else 'open'}"
            f"{_beginning(texts.get(one.criterion_id, ''))}"
            for one in open_[:_MAX_IDS]
        ]
        more = [f"{len(open_) - _MAX_IDS} more criteria are open"] if len(open_) > _MAX_IDS else []
        return (*named, *more)
    if proofs and all(proof.state in (ProofState.CLAIMED, ProofState.SEEN) for proof in proofs):
        return ("no acceptance criterion is proved by the plan or a file",)
    return ()


def _beginning(text: str) -> str:
    """What a criterion says, in emphasis and parentheses, cut at _MAX_BEGINNING; empty when that is not known."""
    flat = " ".join(text.split())
    short = flat if len(flat) <= _MAX_BEGINNING else f"{flat[:_MAX_BEGINNING].strip()}…"
    return f" (*{list_item(short)}*)" if short else ""


def criteria_section(
    item: WorkItem,
    ending: Ending | None,
    verification: Verification,
    redact: Callable[[str], str],
    new_issue: str,
    branch: str,
) -> str:
    """A row for each criterion, the link to a follow-up issue for the open ones (unless the agent proposes its own),
    and what changes beyond the criteria.

    `new_issue` is the address of the repository's form for a new issue, `branch` that of the pull request.
    """
    criteria, proofs = item.request.criteria, {proof.criterion_id: proof for proof in verification.criteria}
    answers = {answer.criterion_id: answer for answer in (ending.criteria if ending else ())}
    if not criteria:
        return joined("The issue names no acceptance criteria.")
    lines = ["| | Criterion | State | How, in the agent's words |", "|---|---|---|---|"]
    for criterion in criteria[:MAX_CRITERIA]:
        proof = proofs.get(
            criterion.id, CriterionProof(criterion_id=criterion.id, state=ProofState.OPEN, why="not looked at")
        )
        answer = answers.get(criterion.id)
        how = _how(answer, redact) if answer else ""
        lines.append(f"| {criterion.id} | {_short(redact(criterion.text))} | {state_cell(proof, redact)} | {how} |")
    if len(criteria) > MAX_CRITERIA:
        lines.append(f"| | and {len(criteria) - MAX_CRITERIA} more in the issue | | |")
    left = [c for c in criteria if c.id in proofs and proofs[c.id].state in _LEFT]
    is_offered = left and new_issue and not (ending and ending.follow_ups)
    follow_up = _follow_up(item.issue.ref, branch, left, answers, redact, new_issue) if is_offered else ""
    given = tuple(answers.values())
    return joined("\n".join(lines), follow_up, _evidence(given, redact), _beyond(given, verification.targets))


def _how(answer: CriterionAnswer, redact: Callable[[str], str]) -> str:
    instead = f" **Built instead:** {_short(redact(answer.instead))}" if answer.instead.strip() else ""
    return f"{_short(redact(answer.how))}{instead}"


def _evidence(answers: Sequence[CriterionAnswer], redact: Callable[[str], str]) -> str:
    """What code looked at for each criterion, so that a reviewer can judge whether it is the right thing."""
    rows = [
        f"- {cell(answer.criterion_id)}: {_assertion(one, redact)}" for answer in answers for one in answer.evidence
    ]
    return details("Evidence that was looked at", "\n".join(capped(rows, _MAX_EVIDENCE))) if rows else ""


def _assertion(one: Assertion, redact: Callable[[str], str]) -> str:
    """`aws_sqs_queue.orders` `name` equals `orders` (dev)."""
    words = [code(redact(one.where)), code(redact(one.key)) if one.key else "", one.op.replace("_", " ")]
    words.append(code(redact(one.value)[:_MAX_CELL]) if one.value else "")
    words.append(f"({', '.join(cell(redact(name)) for name in one.environments)})" if one.environments else "")
    return " ".join(word for word in words if word)


def record_of(
    criteria: Sequence[Criterion], ending: Ending | None, verdict: Verdict, redact: Callable[[str], str]
) -> str:
    """A line that nobody sees, from which `recorded` reads again what the agent said. Empty when it would be longer
    than MAX_RECORD characters; reasons for findings go first.
    """
    answers = []
    for answer in ending.criteria if ending else ():
        shown = (
            Assertion(
                kind=redact(one.kind),
                where=redact(one.where),
                op=redact(one.op),
                key=redact(one.key),
                value=redact(one.value),
                environments=tuple(map(redact, one.environments)),
            )
            for one in answer.evidence
        )
        id_, met = redact(answer.criterion_id), redact(answer.met)
        answers.append(CriterionAnswer(criterion_id=id_, met=met, how="", evidence=tuple(shown)))
    reasons = tuple(
        (redact(rule), redact(where), redact(why)) for rule, where, why in (ending.justifications if ending else ())
    )
    made = Recorded(
        ids=tuple(criterion.id for criterion in criteria),
        answers=tuple(answers),
        reasons=reasons,
        finished=ending is not None and ending.kind == "finished",
        disputes=tuple(
            Dispute(rule=f.rule, path=redact(f.place.path), what=redact(f.what), reason=redact(f.disputed))
            for f in verdict.disputed
        ),
    )
    for kept in (made, replace(made, reasons=())):
        text = json.dumps(_RECORDED.dump_python(kept, mode="json", exclude_defaults=True), separators=(",", ":"))
        # Nothing in it may end the comment, or be read as a mention, a reference or a closing keyword.
        line = _RECORD.replace("%", _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
        if len(line) <= MAX_RECORD:
            return line
    return ""


def recorded(body: str) -> Recorded | None:
    """What the record in a pull request of ours holds; None when there is no readable record."""
    before, _, after = _RECORD.partition("%")
    line = next((line for line in reversed(body.split("\n")) if line.startswith(before)), "")
    try:
        return _RECORDED.validate_json(line.strip().removeprefix(before).removesuffix(after))
    except ValidationError:
        return None


def state_cell(proof: CriterionProof, redact: Callable[[str], str]) -> str:
    if proof.state in (*_PROVED, ProofState.SEEN):
        places = [*map(cell, proof.where), *(code(redact(path)) for path in proof.files)]
        where = ", ".join(places[:10])
        on_base = "; **already so on the base branch**" if proof.on_base else ""
        left = f"; **{cell(proof.why)}**" if proof.why else ""
        more = ", which no plan shows" if proof.state is ProofState.SEEN else ""
        return f"{proof.state.value} ({where}){more}{left}{on_base}"
    word = proof.state.value if proof.state is ProofState.CLAIMED else f"**{proof.state.value}**"
    return f"{word}{f': {_short(redact(proof.why))}' if proof.why else ''}"


def _short(text: str) -> str:
    return cell(text if len(text) <= _MAX_CELL else text[:_MAX_CELL] + "…")


def follow_ups(
    asked: Sequence[FollowUp], ref: IssueRef, branch: str, redact: Callable[[str], str], new_issue: str
) -> str:
    """The issues that the agent proposes: each a link that fills in GitHub's form, and what it is about."""
    rows = []
    for one in asked[:_MAX_FOLLOW_UPS]:
        title, text = one_line(redact(one.title))[:_MAX_CELL], redact(one.body)
        form = _form(new_issue, title, neutralise(text), ref, branch)
        shown = f"[{cell(title)}]({form})" if new_issue else f"**{cell(title)}**"
        rows.append(f"- {shown}: {_short(text)}")
    return joined("Follow-up issues that the agent proposes:", "\n".join(rows)) if rows else ""


def _form(new_issue: str, title: str, text: str, ref: IssueRef, branch: str) -> str:
    """The address of GitHub's form for a new issue, filled in with inert text; nothing is created until a person sends
    it.
    """
    where = f"Left open by the pull request of the branch {code(branch)} for {ref}; its section *Not done* says more."
    query = urlencode({"title": title, "body": joined(where, text)})
    if len(query) > _MAX_LINK:
        query = urlencode({"title": title, "body": where})
    return f"{new_issue}?{query}"


def _follow_up(
    ref: IssueRef,
    branch: str,
    left: Sequence[Criterion],
    answers: dict[str, CriterionAnswer],
    redact: Callable[[str], str],
    new_issue: str,
) -> str:
    rows = [
        f"- {one_line(redact(c.text))}: {one_line(redact(a.how)) if (a := answers.get(c.id)) else ''}" for c in left
    ]
    form = _form(new_issue, f"[ops] Follow-up of #{ref.number}", "\n".join(rows), ref, branch)
    return f"[Open a follow-up issue]({form}) for what is open."


def _beyond(answers: Sequence[CriterionAnswer], targets: Sequence[TargetVerification]) -> str:
    """Resources that change and that no criterion's evidence names."""
    changed = {change.address: change for target in targets for change in target.caused if change.mode == "managed"}
    rest = [f"- {code(a)}: {change.action.value}" for a, change in changed.items() if not touched_by(answers, change)]
    if not rest:
        return ""
    title = f"Beyond the criteria: {counted(len(rest), 'changed resource')} that no evidence names"
    return details(title, "\n".join(capped(rest, _MAX_BEYOND)))
