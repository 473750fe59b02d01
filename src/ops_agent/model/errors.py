"""What is broken, as opposed to declined: every class has a conclusion and a hint. Caught once, in __main__."""

from __future__ import annotations

import errno
import traceback
from pathlib import PurePath
from typing import ClassVar, Final

from ops_agent.model.change_set import KeptPatch
from ops_agent.model.conversation import Transcript
from ops_agent.model.finding import Finding
from ops_agent.model.outcome import Conclusion


class OpsAgentError(Exception):
    """Base of all. `str(error)` says what was wrong and where; `hint` says what to do now.

    `transcript` is what was said until it broke, and what that cost; None when the llm was not asked. `patch` is what
    the agent had changed until then.
    """

    conclusion: ClassVar[Conclusion] = Conclusion.INTERNAL_ERROR
    default_hint: ClassVar[str] = "This is a bug in ops-agent: please report it with the log of this run."

    def __init__(self, what: str, *, hint: str | None = None, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(what)
        self.hint = hint or self.default_hint
        self.findings = findings
        self.transcript: Transcript | None = None
        self.patch: KeptPatch | None = None

    @property
    def exit_code(self) -> int:
        return self.conclusion.exit_code


class ConfigError(OpsAgentError):
    """Inputs, event file or repository layout cannot be used. `problems` lists every one of them."""

    conclusion = Conclusion.CONFIG_ERROR
    default_hint = "Correct the inputs named above in the workflow file; `ops-agent doctor` checks them all at once."

    def __init__(self, what: str, *, problems: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.problems = problems


class GitHubError(OpsAgentError):
    """GitHub answered with an error that retrying did not cure."""

    conclusion = Conclusion.GITHUB_FAILED
    default_hint = (
        "Start the run again; if it repeats, check GitHub's status and the token's permissions with `ops-agent doctor`."
    )


class RateLimited(GitHubError):
    conclusion = Conclusion.RATE_LIMITED
    default_hint = "Start the run again after the reset time named above; nothing was lost."


class NotPermitted(GitHubError):
    conclusion = Conclusion.NOT_PERMITTED
    default_hint = "Give the token the permission named above (docs/setup/github-app.md) and start the run again."


class NeedsWorkflowsPermission(NotPermitted):
    conclusion = Conclusion.NEEDS_WORKFLOWS_PERMISSION
    default_hint = (
        "Use a GitHub App token with `workflows: write` (docs/setup/github-app.md), or apply the offered patch by hand."
    )


class NotFound(GitHubError):
    """404, 410 or a transfer: what we asked for is not (or no longer) there."""

    default_hint = "Check that it exists, was not transferred or deleted, and that the token can read it."


class Conflict(GitHubError):
    """Optimistic locking refused a write: another write came first."""

    default_hint = "Look at the branch; re-apply the label when the other change is settled."


class LlmError(OpsAgentError):
    conclusion = Conclusion.LLM_FAILED
    default_hint = "Start the run again; if it repeats, check the key, the `model` input and the API's status page."


class ToolchainError(OpsAgentError):
    """terraform, tofu, a provider or a linter is missing, of the wrong version, or died."""

    conclusion = Conclusion.TOOLCHAIN_FAILED
    default_hint = (
        "Install the tool named above (setup actions), or the embedded engine from a checkout of ops-agent "
        "(`pip install --require-hashes -r requirements/container.txt`); `ops-agent doctor` shows what was found."
    )


class AwsError(OpsAgentError):
    conclusion = Conclusion.AWS_FAILED
    default_hint = "Check the role's trust policy and the job's `id-token: write` permission (docs/setup/aws-role.md)."


class NoSpace(OpsAgentError):
    conclusion = Conclusion.NO_SPACE
    default_hint = "Free disk space on the runner or use a larger one, then start the run again."


class RedactionFailed(OpsAgentError):
    conclusion = Conclusion.REDACTION_FAILED
    default_hint = (
        "Nothing was published. Remove the secret named above from the repository or the plan, then approve again."
    )


class PolicyViolation(OpsAgentError):
    """One of our own invariants would have been broken: tampering between stages, an impossible tree."""

    conclusion = Conclusion.BLOCKED_BY_POLICY
    default_hint = "Nothing was published. Read the findings; approve again after the cause is removed."


class Cancelled(OpsAgentError):
    conclusion = Conclusion.CANCELLED
    default_hint = "Re-apply the label, or start the workflow again, when you want the work done."


class Interrupted(KeyboardInterrupt):
    """A cancellation in the middle of a conversation, with what was said and changed until then; only the command may
    catch it.
    """

    def __init__(self, transcript: Transcript, patch: KeptPatch | None = None) -> None:
        super().__init__()
        self.transcript = transcript
        self.patch = patch


_MAX_FRAMES: Final = 4


def as_error(broken: BaseException) -> OpsAgentError:
    """`broken` as one of these classes: a full disk and a cancellation by name, anything else as a bug.

    A bug is shown by its class and its places, the innermost first, never by its text, which may quote a secret.
    """
    if isinstance(broken, OpsAgentError):
        return broken
    if isinstance(broken, KeyboardInterrupt):
        error: OpsAgentError = Cancelled("the run was cancelled")
        if isinstance(broken, Interrupted):
            error.transcript, error.patch = broken.transcript, broken.patch
        return error
    if isinstance(broken, OSError) and broken.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace("there is no space left on the disk")
    frames = reversed(traceback.extract_tb(broken.__traceback__)[-_MAX_FRAMES:])
    places = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames)
    return OpsAgentError(f"{type(broken).__name__} at {places or 'an unknown place'}")
