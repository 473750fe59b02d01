"""GitHub's OIDC token endpoint and AWS STS, by plain HTTPS: two requests for credentials, one that says whose they are."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode

from ops_agent.adapters.aws.aws_http import Answer, Unreachable, request
from ops_agent.adapters.aws.aws_session_policy import READ_ONLY
from ops_agent.adapters.aws.aws_signing import Credentials, signed_headers
from ops_agent.errors import AwsError

AUDIENCE = "sts.amazonaws.com"
_ATTEMPTS = 4
_SKEW = 300.0
_TRANSIENT = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError", "InternalFailure"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """`ACTIONS_ID_TOKEN_REQUEST_URL` and `..._TOKEN` of the job; both are empty without `id-token: write`."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Runner(url={self.url!r})"


class Sts:
    """One region's STS. `endpoint` replaces the regional one (an emulator's). `now` and `sleep` are the clock's, in seconds; `say` gets a
    line for each retry."""

    def __init__(
        self,
        region: str,
        *,
        endpoint: str = "",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._region, self._now, self._sleep, self._say = region, now, sleep, say
        self.endpoint = endpoint or f"https://sts.{region}.amazonaws.com"

    def id_token(self, runner: Runner, audience: str = AUDIENCE) -> str:
        """A fresh JWT of this job, for AWS unless told otherwise. It lives in memory for one exchange only. Raises AwsError."""
        if not runner.url or not runner.token:
            raise AwsError(
                "This job may not ask for an OIDC token",
                hint="Give the job `permissions: id-token: write` (and `contents: read`); forks of the repository never get it.",
            )
        answer = self._persist(
            "GitHub's token endpoint",
            lambda: request(
                "GET",
                f"{runner.url}&audience={quote(audience)}",
                headers={"Authorization": f"bearer {runner.token}", "Accept": "application/json"},
            ),
        )
        try:
            token = json.loads(answer.body)["value"]
        except (ValueError, KeyError, TypeError):
            token = None
        if answer.status != 200 or not isinstance(token, str) or not token:
            raise AwsError(
                f"GitHub's token endpoint answered {answer.status} instead of a token",
                hint="Check the job's `permissions: id-token: write`; if it is there, start the run again.",
            )
        return token

    def assume(self, role: str, jwt: str, *, name: str, policy: str, seconds: int, managed: str = READ_ONLY) -> Credentials:
        """AssumeRoleWithWebIdentity with a session policy, a managed one beside it (or none), and `seconds` (900 to 3600) of life.

        Raises AwsError.
        """
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": name,
            "WebIdentityToken": jwt,
            "DurationSeconds": str(seconds),
            "Policy": policy,
        }
        if managed:
            form["PolicyArns.member.1.arn"] = managed
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        answer = self._persist(
            "AWS STS", lambda: request("POST", f"{self.endpoint}/", headers=headers, body=urlencode(form).encode(), timeout=20)
        )
        if answer.status != 200:
            raise self._refused(answer, f"AWS did not let this job assume {role}")
        text = answer.body.decode(errors="replace")
        return Credentials(
            access_key=_tag(text, "AccessKeyId"),
            secret_key=_tag(text, "SecretAccessKey"),
            session_token=_tag(text, "SessionToken"),
            expires_at=datetime.fromisoformat(_tag(text, "Expiration").replace("Z", "+00:00")).timestamp(),
        )

    def account(self, credentials: Credentials) -> str:
        """The account that the credentials act in, by GetCallerIdentity. Raises AwsError."""
        body = b"Action=GetCallerIdentity&Version=2011-06-15"

        def ask() -> Answer:
            url = f"{self.endpoint}/"
            headers = signed_headers(url, body, credentials=credentials, region=self._region, now=self._now())
            return request("POST", url, headers=headers, body=body)

        answer = self._persist("AWS STS", ask)
        if answer.status != 200:
            raise self._refused(answer, "AWS did not say whose credentials these are")
        return _tag(answer.body.decode(errors="replace"), "Account")

    def _persist(self, who: str, ask: Callable[[], Answer]) -> Answer:
        """Ask again on 5xx, throttling and broken connections: 4 times in about 4 s."""
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                wait = 0.5 * 2 ** (attempt - 1)
                self._say(f"{who}: {problem}; that was try {attempt} of at most {_ATTEMPTS}, the next one in {wait:g} s")
                self._sleep(wait)
            try:
                answer = ask()
            except Unreachable as unreachable:
                problem = str(unreachable)
                continue
            if answer.status < 500 and answer.status != 429 and _code(answer) not in _TRANSIENT:
                return answer
            problem = f"status {answer.status}"
        raise AwsError(
            f"{who} did not answer in {_ATTEMPTS} attempts ({problem})", hint="Start the run again; check the service's status page."
        )

    def _refused(self, answer: Answer, what: str) -> AwsError:
        """The error that AWS named, with what mostly stands behind it. Never quotes a token."""
        text = answer.body.decode(errors="replace")
        code, message = _code(answer) or f"status {answer.status}", html.unescape(_found(text, "Message"))[:300]
        skew = self._skew(answer)
        if abs(skew) > _SKEW:
            hint = f"The runner's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} AWS's: set it (NTP), then start again."
        else:
            hint = _HINTS.get(code, "Check the role (docs/setup/aws-role.md) and start the run again.")
        return AwsError(f"{what}: {code}: {message}", hint=hint)

    def _skew(self, answer: Answer) -> float:
        try:
            return parsedate_to_datetime(answer.date).timestamp() - self._now()
        except (TypeError, ValueError):
            return 0.0


_HINTS = {
    "AccessDenied": (
        "The role's trust policy does not accept this job's `sub`. It is `repo:OWNER/REPO:environment:NAME` when the job names an "
        "environment, else `...:ref:refs/heads/BRANCH`; repositories created, renamed or transferred after 15 July 2026 have the immutable "
        "form `repo:OWNER@OWNER-ID/REPO@REPO-ID:...`. Compare with docs/setup/aws-role.md."
    ),
    "InvalidIdentityToken": "Add GitHub's OIDC provider (token.actions.githubusercontent.com, audience sts.amazonaws.com) to the account.",
    "InvalidIdentityTokenException": "Add GitHub's OIDC provider (token.actions.githubusercontent.com, audience sts.amazonaws.com) there.",
    "ExpiredTokenException": "The token was older than five minutes when AWS saw it: check the runner's clock, then start the run again.",
    "ExpiredToken": "The credentials had expired: check the runner's clock, then start the run again.",
    "SignatureDoesNotMatch": "The runner's clock is mostly the cause: set it (NTP), then start the run again.",
    "PackedPolicyTooLarge": "The session policy is too large for this role's session tags: remove session tags from the trust policy.",
    "ValidationError": "Check the role's ARN in `aws_role_arn` or `aws_role_arns`, and its maximum session duration.",
}


def _code(answer: Answer) -> str:
    return _found(answer.body.decode(errors="replace"), "Code") if answer.status >= 400 else ""


def _found(text: str, tag: str) -> str:
    match = re.search(rf"<{tag}>([^<]*)</{tag}>", text)
    return match[1].strip() if match else ""


def _tag(text: str, tag: str) -> str:
    value = html.unescape(_found(text, tag))
    if not value:
        raise AwsError(f"AWS STS answered without {tag}", hint="Start the run again; if it repeats, report it with the log of this run.")
    return value
