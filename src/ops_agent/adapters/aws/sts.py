"""GitHub's OIDC token endpoint and AWS STS, by plain HTTPS: two requests for credentials, one that says whose they are."""

from __future__ import annotations

import hashlib
import hmac
import html
import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urlsplit

from ops_agent.model.errors import AwsError

# The policy that narrows every session, whatever the role may do: reading only, one region, our accounts, no secrets.
#
# It is passed beside AWS's managed ReadOnlyAccess (`PolicyArns`): a session may do what the role AND one of these
# policies allow, minus what a statement here denies. So a role that is widened later does not widen ops-agent. STS
# packs it; 2,048 characters are the limit of the text.

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
MOST_CHARACTERS = 2_048

# Services that answer from us-east-1 only, or have no region at all.
_GLOBAL = (
    "iam:*",
    "sts:*",
    "organizations:*",
    "route53:*",
    "cloudfront:*",
    "waf:*",
    "wafv2:*",
    "shield:*",
    "globalaccelerator:*",
    "budgets:*",
    "support:*",
    "acm:Describe*",
    "acm:List*",
    "s3:ListAllMyBuckets",
    "s3:GetBucketLocation",
)
# What ReadOnlyAccess allows and a plan never needs: contents of stores and queues, code, parameters.
_SECRETS = (
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter*",
    "lambda:InvokeFunction",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:PartiQL*",
    "sqs:ReceiveMessage",
    "kinesis:GetRecords",
    "logs:GetLogEvents",
    "logs:FilterLogEvents",
    "logs:StartQuery",
    "ecr:GetAuthorizationToken",
    "sts:AssumeRole*",
    "sts:GetFederationToken",
)
# A read of a foreign account's bucket or queue can carry a secret out in its name.
_CARRIERS = ("s3:*", "sqs:*", "sns:*", "dynamodb:*", "kms:*", "lambda:*", "ecr:*", "events:*")


def session_policy(region: str, accounts: Iterable[str]) -> str:
    """The inline session policy as compact JSON, for one region and the given 12-digit accounts."""
    statements = [
        {
            "Sid": "StateKey",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
        },
        {
            "Sid": "Region",
            "Effect": "Deny",
            "NotAction": list(_GLOBAL),
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": region}},
        },
        {
            "Sid": "Accounts",
            "Effect": "Deny",
            "Action": list(_CARRIERS),
            "Resource": "*",
            "Condition": {
                "StringNotEquals": {"aws:ResourceAccount": sorted(accounts)},
                "Null": {"aws:ResourceAccount": "false"},
            },
        },
        {"Sid": "Secrets", "Effect": "Deny", "Action": list(_SECRETS), "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


# One HTTP request for the AWS adapters: no redirect, no proxy from the environment, a time limit, a size limit.

_MOST = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`date` is the server's Date header, for the clock check; empty when it sent none."""

    status: int
    body: bytes
    date: str = ""


class Unreachable(Exception):
    """No answer: refused, timed out, broken off. May be tried again. The text names host and cause, never a header or a
    body.
    """


def request(method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout: float = 10.0) -> Answer:
    """Raises Unreachable; AwsError for a URL that is neither https nor loopback (a token must not travel in clear)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise AwsError(f"Refused to send a token to {parts.scheme}://{host}: only https leaves the machine")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=timeout, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read(_MOST), date=response.getheader("Date") or "")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{host}: {type(error).__name__}") from None
    finally:
        connection.close()


# AWS Signature Version 4, as far as one POST to STS needs it (checked against botocore in the tests).

_SIGNED = "content-type;host;x-amz-date;x-amz-security-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Temporary AWS credentials; `expires_at` in seconds since the epoch. Secret values stay out of repr."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float


def signed_headers(
    url: str, body: bytes, *, credentials: Credentials, region: str, now: float, service: str = "sts"
) -> dict[str, str]:
    """Headers of a form POST to the root path of `url`, signed at `now` (seconds since the epoch)."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": urlsplit(url).netloc,
        "x-amz-date": moment,
        "x-amz-security-token": credentials.session_token,
    }
    lines = "".join(f"{name}:{headers[name]}\n" for name in _SIGNED.split(";"))
    canonical = f"POST\n/\n\n{lines}\n{_SIGNED}\n{hashlib.sha256(body).hexdigest()}"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}"
    )
    return {**headers, "authorization": authorization}


AUDIENCE = "sts.amazonaws.com"
_ATTEMPTS = 4
_SKEW = 300.0
_TRANSIENT = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError", "InternalFailure"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """`ACTIONS_ID_TOKEN_REQUEST_URL` and `..._TOKEN` of the job; both are empty without `id-token: write`."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Runner(url={self.url!r})"


class Sts:
    """One region's STS. `endpoint` replaces the regional one (an emulator's). `now` and `sleep` are the clock's, in
    seconds; `say` gets a line for each retry."""

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
        """A fresh JWT of this job, for AWS unless another audience is given. It lives in memory for one exchange only. Raises
        AwsError.
        """
        if not runner.url or not runner.token:
            raise AwsError(
                "This job may not ask for an OIDC token",
                hint=(
                    "Give the job `permissions: id-token: write` (and `contents: read`); forks of the repository "
                    "never get it."
                ),
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

    def assume(
        self, role: str, jwt: str, *, name: str, policy: str, seconds: int, managed: str = READ_ONLY
    ) -> Credentials:
        """AssumeRoleWithWebIdentity with a session policy, a managed one beside it (or none), and `seconds` (900 to
        3600) of life.

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
            "AWS STS",
            lambda: request("POST", f"{self.endpoint}/", headers=headers, body=urlencode(form).encode(), timeout=20),
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
                self._say(
                    f"{who}: {problem}; that was try {attempt} of at most {_ATTEMPTS}, the next one in {wait:g} s"
                )
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
            f"{who} did not answer in {_ATTEMPTS} attempts ({problem})",
            hint="Start the run again; check the service's status page.",
        )

    def _refused(self, answer: Answer, what: str) -> AwsError:
        """The error that AWS named, with its usual cause. Never quotes a token."""
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
        "The role's trust policy does not accept this job's `sub`. It is `repo:OWNER/REPO:environment:NAME` when the"
        " job names an "
        "environment, else `...:ref:refs/heads/BRANCH`; repositories created, renamed or transferred after 15 July "
        "2026 have the immutable "
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
        raise AwsError(
            f"AWS STS answered without {tag}",
            hint="Start the run again; if it repeats, report it with the log of this run.",
        )
    return value
