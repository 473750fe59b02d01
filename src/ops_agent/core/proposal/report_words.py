"""One sentence for each way in which a run ends. The word comes from code, and so does the sentence."""

from __future__ import annotations

from typing import Final

from ops_agent.domain.outcome import Conclusion

SENTENCES: Final[dict[Conclusion, str]] = {
    Conclusion.PUBLISHED: "A pull request was opened.",
    Conclusion.UPDATED: "The pull request was updated.",
    Conclusion.NO_CHANGES: "The request needs no change.",
    Conclusion.DUPLICATE: "This approval is worked on, or was worked on, by another run.",
    Conclusion.DECLINED: "The issue is not one to work on now.",
    Conclusion.NEEDS_INFO: "Something must be answered before the work can be done.",
    Conclusion.NEEDS_SPLIT: "The request is too large for one focused pull request.",
    Conclusion.INFEASIBLE: "The request cannot be done within the limits.",
    Conclusion.CHECKS_FAILED: "The change does not pass its checks.",
    Conclusion.PLAN_FAILED: "Terraform could not plan the change.",
    Conclusion.BUDGET_EXHAUSTED: "The run used up its turns, cost or time before the work was done.",
    Conclusion.NO_PROGRESS: "The agent did not get further.",
    Conclusion.CONFIG_ERROR: "The inputs or the repository's layout cannot be used.",
    Conclusion.BLOCKED_BY_POLICY: "The guard does not let this change out.",
    Conclusion.NOT_AUTHORISED: "The person who started the run may not do so.",
    Conclusion.CONTENT_CHANGED: "The issue's text is not the one that was approved.",
    Conclusion.STALE: "The world moved on while the run was at work.",
    Conclusion.REDACTION_FAILED: "Nothing was published, because a secret could not be kept out.",
    Conclusion.GITHUB_FAILED: "GitHub did not do what was asked.",
    Conclusion.RATE_LIMITED: "GitHub's rate limit is used up.",
    Conclusion.NOT_PERMITTED: "The token may not do what is needed.",
    Conclusion.NEEDS_WORKFLOWS_PERMISSION: "The token may not write workflow files.",
    Conclusion.LLM_FAILED: "The language model could not be asked.",
    Conclusion.TOOLCHAIN_FAILED: "Terraform, a provider or a linter is missing or broken.",
    Conclusion.AWS_FAILED: "AWS gave no credentials for the plan.",
    Conclusion.NO_SPACE: "The runner's disk is full.",
    Conclusion.INTERNAL_ERROR: "ops-agent itself failed.",
    Conclusion.CANCELLED: "The run was cancelled.",
}
