"""ports.CloudIdentity: OIDC token -> AssumeRoleWithWebIdentity -> account asserted -> loopback broker."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ops_agent.adapters.aws.broker import Broker
from ops_agent.adapters.aws.sts import Credentials, Runner, Sts, session_policy
from ops_agent.model.errors import ConfigError, PolicyViolation
from ops_agent.model.policy import Policy
from ops_agent.model.ports import CredentialLease
from ops_agent.model.terraform import Environment

_ROLE = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/[\w+=,.@/-]{1,512}")
SECONDS = 1_800


class AwsIdentity:
    """Roles by environment's name. `mask` gets every secret before anything can print it; `sts` replaces AWS's in
    the demo.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        roles: Mapping[str, str],
        runner: Runner,
        run_id: int | str,
        mask: Callable[[str], None],
        sts: Sts | None = None,
        now: Callable[[], float] = time.time,
        seconds: int = SECONDS,
    ) -> None:
        self._policy, self._roles, self._runner, self._mask, self._now = policy, dict(roles), runner, mask, now
        self._sts = sts or Sts(policy.region)
        self._seconds = seconds
        self._name = f"ops-agent-{re.sub(r'[^A-Za-z0-9_-]', '', str(run_id))[:40] or 'local'}"

    def unplanned_reason(self, environment: Environment) -> str | None:
        if environment.account is None:
            return f"the inputs give no AWS account for the environment `{environment.name}` (`aws_accounts`)"
        if not self._roles.get(environment.name):
            return f"no role was given for the environment `{environment.name}` (`aws_role_arns`)"
        return None

    @contextmanager
    def lease(self, environment: Environment) -> Iterator[CredentialLease]:
        """Raises ConfigError for a role that cannot be the environment's (before any token is asked for),
        PolicyViolation, AwsError.

        When fresh credentials could not be made during the lease, that error is raised at its end: the plan failed
        because of it.
        """
        role, account = self._role(environment)
        first = self._mint(role)
        actual = self._sts.account(first)
        if actual != account or actual not in self._policy.accounts.values():
            raise PolicyViolation(
                f"The role for `{environment.name}` acts in AWS account {actual}, but the environment's account is {account}",
                hint="Nothing was planned. Correct `aws_role_arn`, `aws_role_arns` or `aws_accounts`.",
            )
        with Broker(lambda: self._mint(role), first, now=self._now) as broker:
            yield CredentialLease(environment=environment.name, account=actual, variables=broker.variables)
        if broker.failure is not None:
            raise broker.failure

    def _role(self, environment: Environment) -> tuple[str, str]:
        reason = self.unplanned_reason(environment)
        role, account = self._roles.get(environment.name, ""), environment.account
        if reason is not None or account is None:
            raise ConfigError(f"The environment `{environment.name}` cannot be planned: {reason}")
        match = _ROLE.fullmatch(role)
        if match is None:
            raise ConfigError(
                f"{role!r} for the environment `{environment.name}` is not the ARN of an IAM role of the partition `aws`"
            )
        if match["account"] != account or account not in self._policy.accounts.values():
            raise ConfigError(
                f"The role {role} is not in the account {account} of the environment `{environment.name}`"
            )
        return role, account

    def _mint(self, role: str) -> Credentials:
        jwt = self._sts.id_token(self._runner)
        self._mask(jwt)
        policy = session_policy(self._policy.region, self._policy.accounts.values())
        credentials = self._sts.assume(role, jwt, name=self._name, policy=policy, seconds=self._seconds)
        for secret in (credentials.secret_key, credentials.session_token):
            self._mask(secret)
        return credentials


# Keys for Amazon Bedrock, from a role of its own that may only invoke. They go to the llm's client and nowhere else.

_SECONDS = 3_600
_INVOKE_ONLY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
                "Resource": "*",
            }
        ],
    },
    separators=(",", ":"),
)


def bedrock_keys(
    sts: Sts, runner: Runner, role: str, run_id: str, mask: Callable[[str], None]
) -> Callable[[], tuple[str, str, str]]:
    """A source of (access key id, secret access key, session token); each call mints anew. It raises AwsError."""

    def mint() -> tuple[str, str, str]:
        jwt = sts.id_token(runner)
        mask(jwt)
        keys = sts.assume(role, jwt, name=f"ops-agent-llm-{run_id}", policy=_INVOKE_ONLY, seconds=_SECONDS, managed="")
        for secret in (keys.secret_key, keys.session_token):
            mask(secret)
        return keys.access_key, keys.secret_key, keys.session_token

    return mint
