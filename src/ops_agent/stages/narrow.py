"""The policy file of the repository, read from the base commit, over the settings: after this nothing wider is left in reach."""

from __future__ import annotations

from ops_agent.core.intake.narrowing import WIDENING_REMEDY, narrow
from ops_agent.core.sources.reading_policy import POLICY_FILE, read_policy
from ops_agent.domain.layout import Layout
from ops_agent.errors import ConfigError
from ops_agent.ports import BaseTree
from ops_agent.settings import Settings


def narrow_by_policy_file(settings: Settings, base: BaseTree) -> Settings:
    """`settings` narrowed by `.github/ops-agent.yml` of `base`; as they are when there is no such file.

    Raises ConfigError with every problem of the file: a line that cannot be read, a key that is not known, a limit that would widen.
    """
    entry = base.entries().get(POLICY_FILE)
    if entry is None:
        return settings
    if not entry.is_regular:
        raise ConfigError(f"{POLICY_FILE} is not a regular file on the base branch", hint=f"Replace `{POLICY_FILE}` by a regular file.")
    file, problems = read_policy(base.read(POLICY_FILE))
    if not problems:
        return narrow(settings, file)
    correct = f"Correct `{POLICY_FILE}` on the base branch."
    try:
        narrow(settings, file)
    except ConfigError as widening:
        problems, correct = (*problems, *widening.problems), f"{correct} {WIDENING_REMEDY}"
    raise ConfigError(f"{POLICY_FILE} cannot be used: {'; '.join(problems)}", problems=problems, hint=correct)


def require_environments(settings: Settings, layout: Layout) -> None:
    """Raises ConfigError when the input or the policy file's `environments` names one that the repository does not have."""
    unknown = [name for name in settings.environments if name not in layout.environment_names]
    if unknown:
        known = ", ".join(layout.environment_names) or "none was found"
        raise ConfigError(
            f"`environments` names {', '.join(unknown)}, which the repository does not have", hint=f"Its environments are: {known}."
        )
