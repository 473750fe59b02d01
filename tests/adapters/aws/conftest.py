"""One emulated AWS for the whole session; each test starts with an empty record of calls and no faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops_agent.adapters.aws.identity import AwsIdentity
from ops_agent.adapters.aws.sts import Runner, Sts
from ops_agent.model.policy import Policy
from ops_agent_demo.aws.embedded import EmbeddedAws

DEV, PROD = "125611408459", "283165662494"
ROLE = f"arn:aws:iam::{DEV}:role/ops-agent-plan"
PROD_ROLE = f"arn:aws:iam::{PROD}:role/ops-agent-plan"
SUB = "repo:DrivvenConsulting/orders:environment:dev"


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(accounts={"dev": DEV, "prod": PROD}, trust={ROLE: [SUB], PROD_ROLE: [SUB]}) as aws:
        yield aws


@pytest.fixture
def aws(embedded_aws: EmbeddedAws) -> Iterator[EmbeddedAws]:
    embedded_aws.forget_calls()
    yield embedded_aws
    embedded_aws.answer_as("")
    embedded_aws.shorten_sessions(None)
    embedded_aws.fail_next()
    embedded_aws.issuer.skew = 0.0


@pytest.fixture
def masked() -> list[str]:
    return []


@pytest.fixture
def identity(aws: EmbeddedAws, masked: list[str]):
    """Builds the identity of a job; keywords replace what the test is about."""

    def build(sub: str = SUB, roles: dict[str, str] | None = None, **fields) -> AwsIdentity:
        variables = aws.runner_variables(sub)
        given = {
            "policy": Policy(),
            "roles": {"dev": ROLE} if roles is None else roles,
            "runner": Runner(
                url=variables["ACTIONS_ID_TOKEN_REQUEST_URL"], token=variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
            ),
            "run_id": 77,
            "mask": masked.append,
            "sts": Sts("sa-east-1", endpoint=aws.endpoint, sleep=lambda _: None),
        }
        return AwsIdentity(**{**given, **fields})

    return build
