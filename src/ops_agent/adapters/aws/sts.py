"""GitHub's OIDC token endpoint and AWS STS: two requests for credentials, one that says whose they are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.resources import files
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from ops_agent.adapters.network import DIRECT, Network, explained
from ops_agent.model.errors import AwsError

GITHUB_ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
MAX_CHARACTERS = 2_048
_ATTEMPTS = 4
_SKEW = 300.0
_MAX_ANSWER = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_TRANSIENT = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError", "InternalFailure"}
)
# By STS's code, without the `Exception` that some of them end with.
_HINTS = {
    "AccessDenied": (
        "The role does not exist, or its trust policy does not accept this job's `sub`, which is `{sub}`: it ends with "
        "`environment:NAME` when the job names an environment, else with `ref:refs/heads/BRANCH`, and holds ids in "
        "repositories made after 15 July 2026. Compare with docs/setup/aws-role.md."
    ),
    "InvalidIdentityToken": (
        "Add GitHub's OIDC provider ({issuer}, audience sts.amazonaws.com) to the account; AWS must reach that address."
    ),
    "ExpiredToken": (
        "AWS saw it after its end (an OIDC token lives for five minutes): check the runner's clock, then start the run "
        "again."
    ),
    "SignatureDoesNotMatch": "The runner's clock is mostly the cause: set it (NTP), then start the run again.",
    "PackedPolicyTooLarge": (
        "The session policy is too large for this role's session tags: remove session tags from the trust policy."
    ),
    "ValidationError": ("Check the role's ARN in `aws_role_arn` or `aws_role_arns`, and its maximum session duration."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """`ACTIONS_ID_TOKEN_REQUEST_URL` and `..._TOKEN` of the job; both are empty without `id-token: write`."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Temporary AWS credentials; `expires_at` in seconds since the epoch."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float


def session_policy(region: str, accounts: Iterable[str]) -> str:
    """The inline policy that narrows every session, as compact JSON: reading only, one region,
    the given 12-digit accounts, no secrets. It has at most MAX_CHARACTERS.

    It is passed beside AWS's managed ReadOnlyAccess (`PolicyArns`): a session may do what the role AND one of these
    policies allow, minus what a statement here denies. So a role that is widened later does not widen ops-agent.

    Region: what is not denied answers from us-east-1 only, or has no region at all. Accounts: a read of a stranger's
    bucket or queue can carry a secret out in its name. Secrets: what ReadOnlyAccess allows and a plan never needs
    (contents of stores and queues, code, parameters).
    """
    text = files(__package__).joinpath("session_policy.json").read_text(encoding="utf-8")
    named = text.replace("REGION", region).replace('["ACCOUNTS"]', json.dumps(sorted(accounts)))
    return json.dumps(json.loads(named), separators=(",", ":"))


class Sts:
    """One region's STS; `endpoint` replaces the regional one (an emulator's). `say` gets a line for each retry."""

    def __init__(
        self,
        region: str,
        *,
        endpoint: str = "",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda _: None,
        network: Network = DIRECT,
    ) -> None:
        self._network = network
        self._region, self._now, self._sleep, self._say = region, now, sleep, say
        self.endpoint = endpoint or f"https://sts.{region}.amazonaws.com"
        self._is_regional = not endpoint

    def id_token(self, runner: Runner, audience: str = AUDIENCE) -> str:
        """A fresh JWT of this job, for AWS unless another audience is given. Raises AwsError."""
        if not runner.url or not runner.token:
            raise AwsError(
                "This job may not ask for an OIDC token",
                hint="Give the job `permissions: id-token: write` (and `contents: read`); forks never get it.",
            )
        url = f"{runner.url}&audience={quote(audience)}"
        headers = {"Authorization": f"bearer {runner.token}", "Accept": "application/json"}
        answer = self._persist("GitHub's token endpoint", lambda: _request(self._network, "GET", url, headers))
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
        """AssumeRoleWithWebIdentity with a session policy and a managed one (or none), for 900 to 3600 `seconds`.

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
            **({"PolicyArns.member.1.arn": managed} if managed else {}),
        }
        answer = self._post(urlencode(form), f"AWS did not let this job assume {role}", claims=_claims(jwt))
        return Credentials(
            access_key=answer.value("AccessKeyId"),
            secret_key=answer.value("SecretAccessKey"),
            session_token=answer.value("SessionToken"),
            expires_at=datetime.fromisoformat(answer.value("Expiration").replace("Z", "+00:00")).timestamp(),
        )

    def account(self, credentials: Credentials) -> str:
        """The account that the credentials act in, by GetCallerIdentity. Raises AwsError."""
        form, failed = "Action=GetCallerIdentity&Version=2011-06-15", "AWS did not say whose credentials these are"
        return self._post(form, failed, credentials).value("Account")

    def object_trouble(self, credentials: Credentials, bucket: str, key: str) -> str:
        """Why the credentials cannot read an object of S3; empty when they can (one byte is asked for), or when it is
        not there. Raises AwsError when S3 does not answer.
        """
        endpoint = f"https://s3.{self._region}.amazonaws.com" if self._is_regional else self.endpoint
        url = f"{endpoint}/{bucket}/{quote(key, safe='/~')}"

        def ask() -> _Answer:
            now = self._now()
            headers = signed_headers(
                url, b"", credentials=credentials, region=self._region, now=now, method="GET", service="s3"
            )
            return _request(self._network, "GET", url, {**headers, "range": "bytes=0-0"}, timeout=20)

        answer = self._persist("AWS S3", ask)
        if answer.status in (200, 206, 416) or answer.find("Code") == "NoSuchKey":
            return ""
        if place := answer.find("Region"):
            return f"the bucket is in {place}, not in {self._region} (`aws_region`)"
        code = answer.find("Code") or f"status {answer.status}"
        return f"AWS answers {code}: {answer.find('Message')[:300] or 'no reason given'}"

    def _post(
        self, form: str, failed: str, credentials: Credentials | None = None, claims: Mapping[str, str] | None = None
    ) -> _Answer:
        """The answer to `form`, signed with `credentials`. Raises AwsError that begins with `failed`."""
        url, body = f"{self.endpoint}/", form.encode()

        def ask() -> _Answer:
            headers = {"Content-Type": _FORM}
            if credentials is not None:
                headers = signed_headers(url, body, credentials=credentials, region=self._region, now=self._now())
            return _request(self._network, "POST", url, headers, body=body, timeout=20)

        answer = self._persist("AWS STS", ask)
        if answer.status != 200:
            raise self._refused(answer, failed, claims or {})
        return answer

    def _persist(self, who: str, ask: Callable[[], _Answer]) -> _Answer:
        """Ask again on 5xx, throttling and broken connections: 4 times in about 4 s."""
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                wait = 0.5 * 2 ** (attempt - 1)
                tried = f"that was try {attempt} of at most {_ATTEMPTS}, the next one in {wait:g} s"
                self._say(f"{who}: {problem}; {tried}")
                self._sleep(wait)
            try:
                answer = ask()
            except _Unreachable as unreachable:
                problem = str(unreachable)
                continue
            if answer.status < 500 and answer.status != 429 and answer.code not in _TRANSIENT:
                return answer
            problem = f"status {answer.status}"
        raise AwsError(
            f"{who} did not answer in {_ATTEMPTS} attempts ({problem})",
            hint="Start the run again; check the service's status page.",
        )

    def _refused(self, answer: _Answer, what: str, claims: Mapping[str, str]) -> AwsError:
        """The error that AWS named, with its usual cause. Of a token only its `claims` are quoted."""
        code = answer.code or f"status {answer.status}"
        try:
            skew = parsedate_to_datetime(answer.date).timestamp() - self._now()
        except (TypeError, ValueError):
            skew = 0.0
        otherwise = "Check the role (docs/setup/aws-role.md) and start the run again."
        hint = _HINTS.get(code.removesuffix("Exception"), otherwise)
        for name, said in claims.items():
            hint = hint.replace(f"{{{name}}}", said)
        if abs(skew) > _SKEW:
            how = "behind" if skew > 0 else "ahead of"
            hint = f"The runner's clock is {abs(skew):.0f} s {how} AWS's: set it (NTP), then start again."
        return AwsError(f"{what}: {code}: {answer.find('Message')[:300]}", hint=hint)


def _claims(jwt: str) -> dict[str, str]:
    """Who issued the token, without `https://` (a GitHub Enterprise Server is its own issuer), and its subject."""
    try:
        payload = jwt.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer, sub = str(said["iss"]).removeprefix("https://"), str(said["sub"])
    except (ValueError, KeyError, TypeError, IndexError):
        issuer, sub = "", ""
    return {
        "issuer": issuer if re.fullmatch(r"[A-Za-z0-9][\w./:-]{0,200}", issuer, re.ASCII) else GITHUB_ISSUER,
        "sub": sub if re.fullmatch(r"[!-_a-~][ !-_a-~]{0,300}", sub) else "not readable",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """`date` is the server's Date header, for the clock check; empty when it sent none."""

    status: int
    body: bytes
    date: str

    @property
    def code(self) -> str:
        """AWS's name of an error, empty when it is none."""
        return self.find("Code") if self.status >= 400 else ""

    def find(self, tag: str) -> str:
        """What an element of the XML holds, empty when there is none."""
        match = re.search(rf"<{tag}>([^<]*)</{tag}>", self.body.decode(errors="replace"))
        return html.unescape(match[1].strip()) if match else ""

    def value(self, tag: str) -> str:
        """What an element must hold. Raises AwsError."""
        found = self.find(tag)
        if not found:
            raise AwsError(
                f"AWS STS answered without {tag}", hint="Start the run again; if it repeats, report the log."
            )
        return found


class _Unreachable(Exception):
    """No answer: refused, timed out, broken off. The text names host and cause, never a header or a body."""


def _request(
    network: Network,
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    body: bytes | None = None,
    timeout: float = 10,
) -> _Answer:
    """One request without redirects. Raises _Unreachable; AwsError when a token would travel in clear."""
    parts = urlsplit(url)
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in _LOOPBACK):
        raise AwsError(f"Refused to send a token to {parts.scheme}://{parts.hostname}: only https leaves the machine")
    try:
        with _pool(network, url) as pool:
            answer = pool.request(
                method, url, body=body, headers=headers, timeout=timeout, retries=False, preload_content=False
            )
            return _Answer(status=answer.status, body=answer.read(_MAX_ANSWER), date=answer.headers.get("Date", ""))
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise _Unreachable(f"{parts.hostname}: {explained(error) or type(error).__name__}") from None


def _pool(network: Network, url: str) -> urllib3.PoolManager:
    proxy = network.proxy_of(url)
    if proxy is None:
        return urllib3.PoolManager(ssl_context=network.context())
    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    return urllib3.ProxyManager(f"http://{proxy}", proxy_headers=headers, ssl_context=network.context())


def signed_headers(
    url: str,
    body: bytes,
    *,
    credentials: Credentials,
    region: str,
    now: float,
    method: str = "POST",
    service: str = "sts",
    content_type: str = _FORM,
) -> dict[str, str]:
    """Headers of a request to `url` without a query (only a POST has a content), signed at `now` (epoch) with AWS
    Signature Version 4.
    """
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope, digest = f"{moment[:8]}/{region}/{service}/aws4_request", hashlib.sha256(body).hexdigest()
    headers = {
        **({"content-type": content_type} if method == "POST" else {}),
        "host": urlsplit(url).netloc,
        **({"x-amz-content-sha256": digest} if service == "s3" else {}),
        "x-amz-date": moment,
        "x-amz-security-token": credentials.session_token,
    }
    lines, signed = "".join(f"{name}:{text}\n" for name, text in headers.items()), ";".join(headers)
    path = urlsplit(url).path if service == "s3" else quote(urlsplit(url).path, safe="/~")  # encoded once more
    canonical = f"{method}\n{path}\n\n{lines}\n{signed}\n{digest}"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    who = f"Credential={credentials.access_key}/{scope}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {who}, SignedHeaders={signed}, Signature={signature}"}
