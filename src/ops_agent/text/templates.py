"""Fills prompts and messages: a missing hole, an unused value or a syntax error is an error, never an empty place.

Marks: `<| name |>` for a value, `<% for x in xs %>` for a line of logic, `<# note #>` for a remark that is not
rendered. They are neither in HCL (`${}`, `%{}`, `<<EOT`), nor in GitHub Actions (`${{ }}`), nor in Markdown.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template, TemplateError, meta

from ops_agent.model.errors import OpsAgentError

_MARKS = Environment(
    block_start_string="<%",
    block_end_string="%>",
    variable_start_string="<|",
    variable_end_string="|>",
    comment_start_string="<#",
    comment_end_string="#>",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - the output is Markdown, neutralised by whoever fills the hole
)


def fill(path: str, **holes: object) -> str:
    """The prompt or message at `path` of this package (`agent/prompts/task.md`), filled and checked as by `render`."""
    return render(read(path), **holes)


@cache
def read(path: str) -> str:
    """The text of the file at `path` of this package. Raises FileNotFoundError."""
    return files("ops_agent").joinpath(path).read_text(encoding="utf-8")


def render(template: str, **holes: object) -> str:
    """`template` (its text) with every hole filled.

    Raises OpsAgentError when a hole of the template has no value, a value has no hole, or the template is malformed.
    """
    try:
        compiled, wanted = _compiled(template)
        if missing := wanted - holes.keys():
            raise OpsAgentError(f"a template has holes without a value: {', '.join(sorted(missing))}")
        if unused := holes.keys() - wanted:
            raise OpsAgentError(f"a template has no hole for: {', '.join(sorted(unused))}")
        return compiled.render(holes)
    except TemplateError as error:
        raise OpsAgentError(f"a template is malformed: {error}") from error


@lru_cache(maxsize=128)
def _compiled(template: str) -> tuple[Template, frozenset[str]]:
    return _MARKS.from_string(template), frozenset(meta.find_undeclared_variables(_MARKS.parse(template)))
