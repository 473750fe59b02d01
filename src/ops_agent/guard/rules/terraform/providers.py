"""What a provider block may say (D09 of the security bar)."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.rule import Hit, TerraformFile

OPEN_ARGUMENTS = frozenset(
    {
        "alias",
        "region",
        "version",
        "default_tags",
        "ignore_tags",
        "allowed_account_ids",
        "forbidden_account_ids",
        "max_retries",
        "retry_mode",
    }
)


def provider_argument(file: TerraformFile) -> Iterator[Hit]:
    """A provider takes credentials, another endpoint or another account.

    `endpoints`, `profile`, `shared_config_files`, `assume_role`, keys, proxies and the `skip_*` switches lead
    credentials elsewhere or run a program (`credential_process`). Credentials come from the job's role only.

    Remedy: Keep `region`, `alias`, `default_tags`, `ignore_tags`, `allowed_account_ids`; take every other argument out.
    """
    for block in file.source.of_type("provider"):
        for name, part in block.parts:
            if name not in OPEN_ARGUMENTS:
                yield file.hit(block, f"`{block.name}` sets `{name}`", part)
