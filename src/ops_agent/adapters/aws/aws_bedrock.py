"""Keys for Amazon Bedrock, from a role of its own that may only invoke. They go to the llm's client and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable

from ops_agent.adapters.aws.aws_sts import Runner, Sts

_SECONDS = 3_600
_INVOKE_ONLY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"], "Resource": "*"}],
    },
    separators=(",", ":"),
)


def bedrock_keys(sts: Sts, runner: Runner, role: str, run_id: str, mask: Callable[[str], None]) -> Callable[[], tuple[str, str, str]]:
    """A source of (access key id, secret access key, session token); each call mints anew. It raises AwsError."""

    def mint() -> tuple[str, str, str]:
        jwt = sts.id_token(runner)
        mask(jwt)
        keys = sts.assume(role, jwt, name=f"ops-agent-llm-{run_id}", policy=_INVOKE_ONLY, seconds=_SECONDS, managed="")
        for secret in (keys.secret_key, keys.session_token):
            mask(secret)
        return keys.access_key, keys.secret_key, keys.session_token

    return mint
