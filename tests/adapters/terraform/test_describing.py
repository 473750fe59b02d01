"""Types by the real provider's schema, and what forces a replacement by its plan of a probe."""

from __future__ import annotations

import pytest

from adapters.terraform.worlds import environment, service, target, write
from ops_agent.model.terraform import DescribedType
from ops_agent.model.verification import CheckStatus

pytestmark = pytest.mark.terraform


def test_a_type_is_described_by_the_schema_in_use_and_by_a_plan_that_asks_nobody(terraform, tmp_path) -> None:
    with terraform.workspace(write(tmp_path, service("described")), target(environment("prod")), None) as workspace:
        assert workspace.init().status is CheckStatus.PASSED
        queue = terraform.describe(workspace, "aws_sqs_queue", data=False)
        assert isinstance(queue, DescribedType) and queue.source.endswith("hashicorp/aws")
        assert queue.block["attributes"]["visibility_timeout_seconds"]["optional"] is True
        assert queue.forces == {("fifo_queue",), ("name",), ("name_prefix",)}
        service_ = terraform.describe(workspace, "aws_ecs_service", data=False)
        assert {("cluster",), ("load_balancer",), ("deployment_controller", "type")} <= service_.forces
        assert ("desired_count",) not in service_.forces
        table = terraform.describe(workspace, "aws_dynamodb_table", data=False)
        assert table.forces is None and "indexes must match" in table.why
        assert terraform.describe(workspace, "aws_vpc", data=True).forces is None
        assert terraform.describe(workspace, "aws_sqs_queues", data=False) == ("aws_sqs_queue", "aws_sqs_queue_policy")
