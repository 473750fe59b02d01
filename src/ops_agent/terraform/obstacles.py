"""What on the base branch would fail a run: what Terraform cannot load, what a describing role cannot refresh."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from ops_agent.model.finding import Finding, Place, Severity
from ops_agent.model.terraform import Layout, TerraformSource, Unreadable
from ops_agent.terraform.environments import is_deployed
from ops_agent.terraform.modules import directory_of, is_configuration

Read = Callable[[str], TerraformSource | Unreadable]
_VALUE, _PARAMETER, _OBJECT, _ITEM = (
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter",
    "s3:GetObject",
    "dynamodb:GetItem",
)
_DECRYPT, _INVOKE = "kms:Decrypt", "lambda:InvokeFunction"
_OF_BOTH: Final = {
    "aws_secretsmanager_secret_version": _VALUE,
    "aws_ssm_parameter": _PARAMETER,
    "aws_s3_object": _OBJECT,
    "aws_s3_bucket_object": _OBJECT,
    "aws_s3_object_copy": _OBJECT,
    "aws_dynamodb_table_item": _ITEM,
}
_OF_DATA: Final = {
    **_OF_BOTH,
    "aws_ssm_parameters_by_path": "ssm:GetParametersByPath",
    "aws_kms_secret": _DECRYPT,
    "aws_kms_secrets": _DECRYPT,
    "aws_kms_ciphertext": "kms:Encrypt",
    "aws_lambda_invocation": _INVOKE,
    "aws_ecr_authorization_token": "ecr:GetAuthorizationToken",
    "aws_ecrpublic_authorization_token": "ecr-public:GetAuthorizationToken",
    "aws_codeartifact_authorization_token": "codeartifact:GetAuthorizationToken",
    "aws_secretsmanager_random_password": "secretsmanager:GetRandomPassword",
    "aws_redshift_cluster_credentials": "redshift:GetClusterCredentials",
    "aws_redshiftserverless_credentials": "redshift-serverless:GetCredentials",
    "aws_cognito_identity_openid_token_for_developer_identity": "cognito-identity:GetOpenIdTokenForDeveloperIdentity",
    "terraform_remote_state": _OBJECT,
}
DENIED: Final = {"resource": _OF_BOTH, "data": _OF_DATA, "ephemeral": _OF_DATA}
"""Block -> type -> the call with which the AWS provider reads it (resources and data sources of 3.39 to 6.x).

Each call is denied by docs/setup/permissions-policy.json or not allowed by it. Types with a secret argument that AWS
never gives back (the `password` of `aws_db_instance`, `master_password` of `aws_rds_cluster`, the `secret` of
`aws_iam_access_key`) are not here: they are refreshed by describing alone. So are resources that call something when
they are created and never again (`aws_lambda_invocation`).
"""

_OVERRIDES = re.compile(r"(?:^|/|_)override\.(?:tf|tofu)(?:\.json)?$")

_ACTIONS: Final = frozenset(action.casefold() for types in DENIED.values() for action in types.values())
_SAID = re.compile(r"(?i)not authorized to perform: ([a-z0-9-]+:[a-z]+)")

_UNREAD: Final = "Correct the file on the base branch, or let the issue ask for exactly that."
DENIED_REMEDY: Final = (
    "A role that only describes cannot read this, and the role of ops-agent stays that way. Keep the value out of "
    "Terraform (manage the secret or parameter, let people or a rotation set its value), or move it to a root of its "
    "own that ops-agent does not change."
)
MODULE_REMEDY: Final = (
    "Only modules that the base branch uses already are fetched for a plan (docs/setup/modules.md). Use one of them "
    "with its source and version as they are, copy the module into the repository and call it by its path "
    "(`./modules/NAME`), or let a person add it first."
)
_BACKEND_REMEDY: Final = (
    "Correct the backend's settings on the base branch, or let the role for plans read the state "
    "(docs/setup/aws-role.md)."
)
_VERSION_REMEDY: Final = (
    "Correct the version constraint or the lock file on the base branch, give the provider mirror this version, or "
    "allow the provider of a private registry with `allowed_providers`."
)
_SILENT_HOST: Final = (
    "{host} does not answer from here: open the way on port 443, set HTTPS_PROXY, or name a provider mirror "
    "(docs/setup/network.md)."
)
_UNKNOWN_NAME = r"refused by ops-agent: (?P<host>[\w.-]+):\d+, which is unknown to the name service"
_OBSTACLES: Final = (
    (
        re.compile(r"doesn't match any of the checksums|is not available for your (?:current )?(?:target )?platform"),
        "Run `terraform providers lock -platform=linux_amd64` (on arm64 `linux_arm64`) in the root; commit its file.",
    ),
    (
        re.compile(r"x509: certificate|certificate signed by unknown authority"),
        "Name the certificates of your own authority in `ca_certificates` (docs/setup/network.md).",
    ),
    (
        re.compile(r"fork/exec \S+: permission denied"),
        "The runner lets no program run below `TMPDIR` (`noexec`): set it to another place (docs/setup/network.md).",
    ),
    (
        re.compile(r"^Unsupported (?:Terraform|OpenTofu) Core version"),
        "Set up a version of Terraform that `required_version` allows, in a step before ops-agent.",
    ),
    (
        re.compile(rf"(?s)^Failed to (?:query available provider packages|install provider).*{_UNKNOWN_NAME}"),
        _SILENT_HOST,
    ),
    (
        re.compile(
            r"(?s)^Failed to query available provider packages.*could not connect to (?P<host>[\w.-]+\w)"
            r"(?!.*refused by ops-agent)"
        ),
        _SILENT_HOST,
    ),
    (
        re.compile(
            r"^(?:Failed to query available provider packages|Failed to install provider|Incompatible provider)"
        ),
        _VERSION_REMEDY,
    ),
    (
        re.compile(
            r"(?i)required by the backend|backend|existing workspaces|error loading state|S3 bucket \"[^\"]*\" does"
        ),
        _BACKEND_REMEDY,
    ),
    (
        re.compile(r"^Module `.*` cannot be fetched from"),
        "Give a token that may read the module with `module_credentials` (docs/setup/modules.md).",
    ),
)
_ACTION_REMEDY: Final = (
    "The role for plans lacks `{action}`: add it to the role's permissions (docs/setup/aws-role.md) if it only "
    "describes."
)


def denied_reads(layout: Layout, paths: Iterable[str], source_of: Read) -> tuple[Finding, ...]:
    """A finding for each block that makes every plan of a root fail; nothing of it blocks. `source_of` reads one of
    `paths`.

    A module's block is found once and names all roots that reach the module. Files that cannot be read are passed over.
    """
    users: dict[str, list[str]] = {}
    for root in layout.roots:
        for directory in (root.path, *root.local_modules):
            users.setdefault(directory, []).append(f"`{root.path}`")
    found = []
    for path in sorted(p for p in paths if is_configuration(p) and directory_of(p) in users):
        source = source_of(path)
        for block in source.blocks if isinstance(source, TerraformSource) else ():
            roots = ", ".join(users[directory_of(path)])
            if action := DENIED.get(block.type, {}).get(block.labels[0] if block.labels else ""):
                when = " once it is deployed" if block.type == "resource" else ""
                what = f"`{block.name}` is read with `{action}`, so plans of {roots} fail with AccessDenied{when}"
                title = "A role that only describes cannot refresh this"
                found.append(_finding(path, block.line, "denied-read", title, what, DENIED_REMEDY))
    return tuple(found)


def broken_files(layout: Layout, paths: Iterable[str], source_of: Read) -> tuple[Finding, ...]:
    """What keeps Terraform from loading a root: files that cannot be read, each with its line, and a second backend of
    a root.

    Every file that could be deployed is read, and every backend and variable file of an environment: one that is
    unreadable may be what would have made its directory a root. `source_of` reads one of `paths`.
    """
    of_environments = {p for r in layout.roots for e in r.environments for p in (e.backend_file, *e.var_files) if p}
    roots = {root.path for root in layout.roots}
    backends: dict[str, tuple[str, int]] = {}
    known = set(paths)
    found = []
    for path in sorted(p for p in known if (is_configuration(p) and is_deployed(p)) or p in of_environments):
        source = source_of(path)
        if isinstance(source, Unreadable):
            what = f"it cannot be read, and counts as empty: {source.what}"
            found.append(_finding(path, source.line, "unreadable-file", "A file cannot be read", what, _UNREAD))
        elif directory_of(path) in roots and is_configuration(path) and _is_loaded_beside_others(path, known):
            for block in (b for t in source.of_type("terraform") for b in t.blocks if b.type in ("backend", "cloud")):
                first = backends.setdefault(directory_of(path), (path, block.line))
                if first != (path, block.line):
                    place = f"{first[0]}:{first[1]}"
                    what = f"`{directory_of(path)}` has its backend in {place} already, and Terraform takes one only"
                    title, remedy = "A root has two backends", "Keep the one that holds the state."
                    found.append(_finding(path, block.line, "two-backends", title, what, remedy))
    return tuple(found)


def init_remedy(text: str) -> str | None:
    """What a person can do about an error of `init` that no change of configuration by an issue is about: a provider
    that is not allowed, a version that cannot be had, a backend or module host that cannot be reached. None: it is none
    of these.
    """
    found = ((pattern.search(text), remedy) for pattern, remedy in _OBSTACLES)
    return next((remedy.format(**said.groupdict()) for said, remedy in found if said), None)


def remedy_of_denial(text: str) -> str | None:
    """What to do about AWS's answer in `text`; None when nothing in it was denied."""
    said = _SAID.search(text)
    if said is None:
        return None
    return DENIED_REMEDY if said[1].casefold() in _ACTIONS else _ACTION_REMEDY.format(action=said[1])


def _is_loaded_beside_others(path: str, paths: set[str]) -> bool:
    """False for an override file, and for `main.tf` beside `main.tofu`: OpenTofu loads that one in its place."""
    twin = re.sub(r"\.tf(\.json)?$", r".tofu\1", path)
    return not _OVERRIDES.search(path) and (twin == path or twin not in paths)


def _finding(path: str, line: int, rule: str, title: str, what: str, remedy: str) -> Finding:
    place = Place(path=path, line=line)
    return Finding(rule=f"layout/{rule}", title=title, place=place, what=what, remedy=remedy, severity=Severity.NOTICE)
