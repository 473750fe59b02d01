"""ports.CloudIdentity: OIDC token -> role -> account asserted -> loopback broker; and keys for Amazon Bedrock."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from ops_agent.adapters.aws.broker import Broker
from ops_agent.adapters.aws.sts import READ_ONLY, Credentials, Runner, Sts, session_policy
from ops_agent.model.errors import ConfigError, PolicyViolation
from ops_agent.model.policy import Policy
from ops_agent.model.ports import CredentialLease, StateObject
from ops_agent.model.terraform import Environment

SECONDS, _BEDROCK_SECONDS = 1_800, 3_600
_ROLE = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/[\w+=,.@/-]{1,512}")
_INVOKE = {"Effect": "Allow", "Action": "bedrock:InvokeModelWithResponseStream", "Resource": "*"}
_INVOKE_ONLY = json.dumps({"Version": "2012-10-17", "Statement": [_INVOKE]}, separators=(",", ":"))


class AwsIdentity:
    """Roles by environment's name. `mask` gets every secret before anything can print it."""

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
        """See ports.CloudIdentity; ConfigError is raised before any token is asked for.

        An error of a renewal during the lease is raised at its end: the plan failed by it.
        """
        mint, first, actual = self._opened(environment)
        with Broker(mint, first, now=self._now) as broker:
            yield CredentialLease(environment=environment.name, account=actual, variables=broker.variables)
        if broker.failure is not None:
            raise broker.failure

    def try_role(self, environment: Environment, states: Sequence[StateObject]) -> tuple[str, dict[StateObject, str]]:
        _, credentials, account = self._opened(environment)
        asked = {state: self._sts.object_trouble(credentials, state.bucket, state.key) for state in states}
        return account, {state: why for state, why in asked.items() if why}

    def _opened(self, environment: Environment) -> tuple[Callable[[], Credentials], Credentials, str]:
        """A source of sessions of the environment's role, the first of them, and the account that it acts in."""
        role, account = self._role(environment)
        policy = session_policy(self._policy.region, self._policy.accounts.values())

        mint = partial(
            _session, self._sts, self._runner, self._mask, role, name=self._name, policy=policy, seconds=self._seconds
        )
        first = mint()
        actual = self._sts.account(first)
        if actual != account or actual not in self._policy.accounts.values():
            raise PolicyViolation(
                f"The role for `{environment.name}` acts in AWS account {actual}, "
                f"but the environment's account is {account}",
                hint="Nothing was planned. Correct `aws_role_arn`, `aws_role_arns` or `aws_accounts`.",
            )
        return mint, first, actual

    def _role(self, environment: Environment) -> tuple[str, str]:
        """The environment's role and account. Raises ConfigError."""
        reason = self.unplanned_reason(environment)
        name, account, role = environment.name, environment.account, self._roles.get(environment.name, "")
        if reason is not None or account is None:
            raise ConfigError(f"The environment `{name}` cannot be planned: {reason}")
        match = _ROLE.fullmatch(role)
        if match is None:
            raise ConfigError(
                f"{role!r} for the environment `{name}` is not the ARN of an IAM role of the partition `aws`"
            )
        if match["account"] != account or account not in self._policy.accounts.values():
            raise ConfigError(f"The role {role} is not in the account {account} of the environment `{name}`")
        return role, account


def bedrock_keys(
    sts: Sts, runner: Runner, role: str, run_id: str, mask: Callable[[str], None]
) -> Callable[[], Credentials]:
    """A source of sessions of a role of its own that may only invoke; each call mints one anew. They sign the requests
    to the llm and go nowhere else. It raises AwsError.
    """
    name = f"ops-agent-llm-{run_id}"
    return partial(
        _session, sts, runner, mask, role, name=name, policy=_INVOKE_ONLY, seconds=_BEDROCK_SECONDS, managed=""
    )


def _session(
    sts: Sts,
    runner: Runner,
    mask: Callable[[str], None],
    role: str,
    *,
    name: str,
    policy: str,
    seconds: int,
    managed: str = READ_ONLY,
) -> Credentials:
    """A session of `role` by a fresh OIDC token; its secrets are masked before anybody gets them. Raises AwsError."""
    jwt = sts.id_token(runner)
    mask(jwt)
    made = sts.assume(role, jwt, name=name, policy=policy, seconds=seconds, managed=managed)
    mask(made.secret_key)
    mask(made.session_token)
    return made
