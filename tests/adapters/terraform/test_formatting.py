"""The agent's files as `terraform fmt` writes them, by each engine of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.agent_doubles import SMALL
from doubles.tree import MemoryTree
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.model.policy import Policy
from ops_agent.model.terraform import TerraformRoot
from ops_agent.model.verification import CheckStatus
from ops_agent.run.judge import format_files

pytestmark = pytest.mark.terraform


def test_a_changed_file_is_formatted_without_its_byte_order_mark_and_keeps_its_line_ends(
    bare_terraform, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    content = b'\xef\xbb\xbfvariable "a" {\r\n  type = string\r\n}\r\n'
    with scratch_tree(MemoryTree({**SMALL, "infra/late.tf": content}), parent=tmp_path) as scratch:
        scratch.write("infra/late.tf", content + b'\r\nvariable "b" {\r\n  type    =   string\r\n}\r\n')
        assert format_files(bare_terraform, Policy(), scratch) == ("infra/late.tf",)
        written = scratch.read("infra/late.tf")
        assert written == content[3:] + b'\r\nvariable "b" {\r\n  type = string\r\n}\r\n'
        assert (
            bare_terraform.fmt(scratch.root, TerraformRoot(path="infra", environments=())).status is CheckStatus.PASSED
        )
