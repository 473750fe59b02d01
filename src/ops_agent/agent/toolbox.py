"""Runs the llm's tool calls. Whatever it sends, it gets a result for every call, in order, and nothing raises.

What the llm sees of a tool, and whether its arguments fit, both come from the tool's signature.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, ValidationError, create_model

from ops_agent.agent.briefing import fenced, fenced_text
from ops_agent.agent.tools import TOOLS
from ops_agent.agent.workbench import STRICT, Answer, ToolRefusal, Workbench
from ops_agent.model.conversation import Ending, ToolCall, ToolResult, ToolSpec
from ops_agent.model.ports import ScratchRefusal

Tool = Callable[..., Any]


def name_of(tool: Tool) -> str:
    """The tool's name for the llm: the function's, without the underscore that keeps it off a name of Python."""
    return tool.__name__.rstrip("_")


def specs() -> tuple[ToolSpec, ...]:
    """Name, description and JSON schema of every tool; the golden file tests/agent/golden/tools.json shows them."""
    return tuple(_spec(tool) for tool in TOOLS)


@cache
def _spec(tool: Tool) -> ToolSpec:
    schema = _arguments(tool).model_json_schema()
    return ToolSpec(
        name=name_of(tool),
        description=re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(tool) or ""),  # without the line breaks of our files
        input_schema=_strict(schema, schema.get("$defs", {})),
    )


@cache
def _arguments(tool: Tool) -> type[BaseModel]:
    """The tool's parameters without the first, which is the workbench; a text in an annotation describes it."""
    hints = get_type_hints(tool, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(tool).parameters.values())[1:]:
        hint = hints[parameter.name]
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        description = next(words for words in hint.__metadata__ if isinstance(words, str))
        fields[parameter.name] = (hint, Field(default, description=description))
    return create_model(tool.__name__, __config__=STRICT, **fields)


def _strict(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The part of JSON Schema that the API's strict tools know: no references, titles, defaults or bounds."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    kept = {key: schema[key] for key in ("type", "enum", "description") if key in schema}
    if schema["type"] == "array":
        kept["items"] = _strict(schema["items"], definitions)
    if schema["type"] == "object":
        kept.pop("description", None)
        kept["properties"] = {name: _strict(inner, definitions) for name, inner in schema["properties"].items()}
        kept["required"] = schema.get("required", [])
        kept["additionalProperties"] = False
    return kept


def checked(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the tool takes them. Raises ToolRefusal with everything that is wrong, without the values."""
    try:
        given = _arguments(tool).model_validate(arguments)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise ToolRefusal(
            "; ".join(f"{'.'.join(str(step)[:60] for step in one['loc'])}: {one['msg']}" for one in wrong[:10])
        ) from None
    return {name: getattr(given, name) for name in given.model_fields_set}


class Toolbox:
    """The tools over one workbench.

    Results are fenced with `boundary` and go through `redact`: no secret of the job reaches the llm. At most
    `max_calls` calls of one turn are run.
    """

    def __init__(self, bench: Workbench, boundary: str, max_calls: int, redact: Callable[[str], str]) -> None:
        self.bench = bench
        self._boundary = boundary
        self._max_calls = max_calls
        self._redact = redact
        self._tools = {name_of(tool): tool for tool in TOOLS}

    def run(self, calls: tuple[ToolCall, ...]) -> tuple[tuple[ToolResult, ...], Ending | None]:
        """One result for each call, in order, and how the llm ended the conversation, if it did."""
        results: list[ToolResult] = []
        ending: Ending | None = None
        seen: set[str] = set()
        for number, call in enumerate(calls):
            if call.id in seen:
                outcome: Any = ToolRefusal("two calls of one turn have the same id; this one was not run")
            elif number >= self._max_calls:
                outcome = ToolRefusal(
                    f"not run: at most {self._max_calls} calls in one turn; call it again in the next one"
                )
            elif ending is not None:
                outcome = ToolRefusal("not run: the conversation was ended by a call before this one")
            else:
                outcome = self._outcome(call)
            seen.add(call.id)
            if isinstance(outcome, Ending):
                ending, outcome = outcome, {"ended": outcome.kind}
            results.append(self._result(call, outcome))
        return tuple(results), ending

    def refuse_all(self, calls: tuple[ToolCall, ...], why: str) -> tuple[ToolResult, ...]:
        """An error for every call; none is run."""
        return tuple(self._result(call, ToolRefusal(why)) for call in calls)

    def _outcome(self, call: ToolCall) -> Any:
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolRefusal(f"there is no tool {call.name[:60]!r}; there are {', '.join(self._tools)}")
        if call.arguments is None:
            return ToolRefusal("the arguments are not one complete JSON object; send the call again")
        try:
            return tool(self.bench, **checked(tool, call.arguments))
        except (ToolRefusal, ScratchRefusal) as refusal:
            return refusal

    def _result(self, call: ToolCall, outcome: Any) -> ToolResult:
        answer = outcome if isinstance(outcome, Answer) else Answer()
        failed = isinstance(outcome, ValueError) or answer.failed
        said = str(outcome) if isinstance(outcome, ValueError) else answer.facts if answer is outcome else outcome
        parts = [fenced_text(self._boundary, heading, text) for heading, text in answer.texts]
        if said or not parts:
            shown = {"tool": call.name[:60], "error" if failed else "result": said}
            parts.insert(0, fenced(self._boundary, shown))
        return ToolResult(call_id=call.id, text=self._redact("\n".join(parts)), is_error=failed)
