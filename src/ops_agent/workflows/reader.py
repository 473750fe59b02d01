"""Workflow YAML -> Workflow. Keys that GitHub does not know are kept by name, so that a rule can refuse them."""

from __future__ import annotations

from functools import lru_cache

from ops_agent.config.strict_yaml import YamlNode, read_yaml
from ops_agent.model.terraform import Unreadable
from ops_agent.model.workflow import Image, Job, Permissions, Step, Trigger, Workflow, WorkflowText

_TOP_KEYS = frozenset(
    {"name", "run-name", "description", "on", "permissions", "env", "defaults", "concurrency", "jobs"}
)
_JOB_KEYS = frozenset(
    {
        "name", "permissions", "needs", "if", "runs-on", "environment", "concurrency", "outputs", "env", "defaults",
        "steps", "timeout-minutes", "strategy", "continue-on-error", "container", "services", "uses", "with", "secrets",
    }
)  # fmt: skip
_STEP_KEYS = frozenset(
    {
        "id", "if", "name", "uses", "run", "shell", "with", "env", "working-directory", "continue-on-error",
        "timeout-minutes",
    }
)  # fmt: skip
_NESTED_KEYS = {
    "defaults": frozenset({"run"}),
    "concurrency": frozenset({"group", "cancel-in-progress"}),
    "environment": frozenset({"name", "url", "deployment"}),
    "strategy": frozenset({"matrix", "fail-fast", "max-parallel"}),
}
_SHELL_KEYS = frozenset({"shell", "working-directory"})
_IMAGE_KEYS = frozenset({"image", "env", "ports", "options", "credentials"})

# What is a mapping (or, for steps, a list) may also be an expression: then its content cannot be judged.
_COLLECTIONS = {**dict.fromkeys(("env", "with", "defaults", "services", "outputs"), "map"), "steps": "list"}


@lru_cache(maxsize=256)
def read_workflow(content: bytes) -> Workflow | Unreadable:
    """One file of `.github/workflows` (UTF-8 bytes)."""
    root = read_yaml(content, aliases=True)
    if isinstance(root, Unreadable):
        return root
    if root.kind != "map":
        return Unreadable(what="it is not a workflow: the top is not a mapping", line=1)
    jobs, triggers = root.get("jobs"), root.get("on")
    if jobs is None or jobs.kind != "map" or triggers is None:
        return Unreadable(what="it is not a workflow: `on` or `jobs` is missing", line=1)
    odd = next((name for name, job in jobs.members if job.kind != "map"), None)
    if odd is not None:
        return Unreadable(what=f"the job `{odd}` is not a mapping", line=jobs.line)
    computed = _computed(root, jobs)
    if computed is not None:
        return computed
    return Workflow(
        line=1,
        text=root.canonical,
        triggers=_triggers(triggers),
        permissions=_permissions(root.get("permissions")),
        env=_texts(root.get("env")),
        jobs=tuple(_job(name, node) for name, node in jobs.members),
        texts=tuple(WorkflowText(path=path, text=node.text, line=node.line) for path, node in root.texts()),
        unknown_keys=_unknown(root, _TOP_KEYS),
    )


def read_action(content: bytes) -> tuple[Step, ...] | None:
    """The steps of a composite action (`action.yml`); None for another kind, or for what cannot be read."""
    root = read_yaml(content, aliases=True)
    runs = None if isinstance(root, Unreadable) else root.get("runs")
    steps = runs.get("steps") if runs is not None else None
    if steps is None or any(step.kind != "map" for step in steps.items):
        return None
    return tuple(_step(step) for step in steps.items)


def _computed(root: YamlNode, jobs: YamlNode) -> Unreadable | None:
    """A key that is an expression (`${{ insert }}` merges a computed mapping), or text where a mapping or the steps
    belong.
    """
    for node in root.maps():
        key = next((k for k, _ in node.members if "${{" in k), None)
        if key is not None:
            return Unreadable(what=f"the key `{key}` is computed", line=node.line)
    steps = [s for _, job in jobs.members for s in (job.get("steps") or YamlNode("list", 0)).items]
    for node in (root, *(job for _, job in jobs.members), *steps):
        if node.kind != "map":
            return Unreadable(what="a step is not a mapping", line=node.line)
        for name, kind in _COLLECTIONS.items():
            value = node.get(name)
            if value is not None and value.kind != kind and (value.text or value.items or value.members):
                return Unreadable(
                    what=f"`{name}` is computed or not a {'list' if kind == 'list' else 'mapping'}", line=value.line
                )
    return None


def _triggers(node: YamlNode) -> tuple[Trigger, ...]:
    if node.kind == "text":
        return (Trigger(event=node.text, line=node.line),)
    if node.kind == "list":
        return tuple(Trigger(event=i.text, line=i.line) for i in node.items)
    found = []
    for event, value in node.members:
        filters = {k: _list(v) for k, v in value.members if k != "inputs"}
        inputs = value.get("inputs")
        if value.kind == "list":
            filters["cron"] = tuple(i.canonical for i in value.items)
        filled = tuple(n for n, i in inputs.members if _is_filled(i)) if inputs else ()
        found.append(Trigger(event=event, line=value.line, filters=filters, filled_inputs=filled))
    return tuple(found)


def _is_filled(declared: YamlNode) -> bool:
    return (
        _text(declared, "required") == "true"
        or bool(_text(declared, "default"))
        or _text(declared, "type") in ("choice", "environment")
    )


def _permissions(node: YamlNode | None) -> Permissions | None:
    if node is None:
        return None
    return Permissions(
        scopes=_texts(node), line=node.line, shorthand=node.text if node.kind == "map" else node.text or "(nothing)"
    )


def _job(name: str, node: YamlNode) -> Job:
    steps = node.get("steps")
    environment, uses = node.get("environment"), node.get("uses")
    environment_name = environment.get("name") if environment is not None and environment.kind == "map" else environment
    return Job(
        id=name,
        line=node.line,
        text=node.canonical,
        runs_on=_runs_on(node.get("runs-on")),
        permissions=_permissions(node.get("permissions")),
        environment=environment_name.text if environment_name is not None else "",
        needs=_list(node.get("needs")),
        condition=_text(node, "if"),
        env=_texts(node.get("env")),
        steps=tuple(_step(s) for s in steps.items) if steps is not None else (),
        uses=uses.text if uses is not None else "",
        uses_line=uses.line if uses is not None else 0,
        images=_images(node),
        matrix=_matrix(node),
        unknown_keys=_unknown(node, _JOB_KEYS),
    )


def _step(node: YamlNode) -> Step:
    uses = node.get("uses")
    return Step(
        line=node.line,
        text=node.canonical,
        name=_text(node, "name"),
        uses=uses.text if uses is not None else "",
        uses_line=uses.line if uses is not None else 0,
        run=_text(node, "run"),
        shell=_text(node, "shell"),
        directory=_text(node, "working-directory"),
        condition=_text(node, "if"),
        with_=_texts(node.get("with")),
        env=_texts(node.get("env")),
        unknown_keys=_unknown(node, _STEP_KEYS),
    )


def _images(job: YamlNode) -> tuple[Image, ...]:
    nodes = [job.get("container")]
    services = job.get("services")
    if services is not None:
        nodes += [value for _, value in services.members]
    found = []
    for node in nodes:
        if node is not None:
            image = node.get("image") if node.kind == "map" else node
            others = tuple(k for k, _ in node.members if k not in _IMAGE_KEYS)
            name = image.text if image is not None else ""
            found.append(Image(image=name, line=node.line, options=_text(node, "options"), other_keys=others))
    return tuple(found)


def _matrix(job: YamlNode) -> dict[str, tuple[str, ...]]:
    """The axes of the job's matrix whose values are all texts, none empty or computed; none when an `include` adds a
    job without one.
    """
    strategy = job.get("strategy")
    matrix = strategy.get("matrix") if strategy is not None else None
    if matrix is None or matrix.kind != "map":
        return {}
    include = matrix.get("include")
    added = include.items if include is not None else ()
    if include is not None and include.kind != "list":
        return {}
    found = {}
    for axis in {k for k, _ in matrix.members if k not in ("include", "exclude")} | {
        k for i in added for k, _ in i.members
    }:
        own = matrix.get(axis)
        nodes = [*(own.items or (own,) if own is not None else ()), *(i.get(axis) for i in added)]
        texts = tuple(
            n.text.strip() if n is not None and n.kind == "text" and "${{" not in n.text else "" for n in nodes
        )
        if texts and all(texts):
            found[axis] = texts
    return found


def _runs_on(node: YamlNode | None) -> tuple[str, ...]:
    if node is not None and node.kind == "map":
        return tuple(f"{k}: {v.canonical}" for k, v in node.members)
    return _list(node)


def _list(node: YamlNode | None) -> tuple[str, ...]:
    if node is None:
        return ()
    return (
        (node.text,) if node.kind == "text" else tuple(i.text if i.kind == "text" else i.canonical for i in node.items)
    )


def _text(node: YamlNode, key: str) -> str:
    value = node.get(key)
    return "" if value is None else value.text if value.kind == "text" else value.canonical


def _texts(node: YamlNode | None) -> dict[str, str]:
    if node is None or node.kind != "map":
        return {}
    return {k: v.text if v.kind == "text" else v.canonical for k, v in node.members}


def _unknown(node: YamlNode, known: frozenset[str]) -> tuple[str, ...]:
    """Keys that GitHub does not know in this place, and in the small mappings below it."""
    found = [k for k, _ in node.members if k not in known]
    for name, keys in _NESTED_KEYS.items():
        inner = node.get(name)
        if inner is not None and name in known:
            found += [f"{name}.{k}" for k, _ in inner.members if k not in keys]
            run = inner.get("run") if name == "defaults" else None
            found += [f"{name}.run.{k}" for k, _ in run.members if k not in _SHELL_KEYS] if run is not None else []
    return tuple(found)
