"""Which bucket names a repository and its state use: what a plan may reach beside AWS's own services."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_agent.terraform.buckets import named_buckets, needs_path_style, state_buckets


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('bucket = "tfstate-dev"', {"tfstate-dev"}),
        ('  artifact_bucket="a.b.c"\n', {"a.b.c"}),
        ('{"bucket_name": "from-json"}', {"from-json"}),
        ('resource = "arn:aws:s3:::orders-data"', {"orders-data"}),
        ('resource = "arn:aws:s3:::orders-data/*"', {"orders-data"}),
        ('resource = "arn:aws:s3:::orders-${var.env}"', set()),
        ('bucket = "${var.prefix}-data"', set()),
        ("bucket = aws_s3_bucket.x.id", set()),
        ('name = "orders-data"', set()),
        ('bucket = "-bad"', set()),
    ],
)
def test_only_names_that_are_written_in_full_count(text, names):
    assert named_buckets([text]) == names


def test_every_bucket_of_the_state_is_named_by_it():
    instances = [{"attributes": {"bucket": "orders", "id": "orders"}}, {"attributes": {"config": {"bucket": "other"}}}]
    state = {"version": 4, "resources": [{"type": "aws_s3_bucket", "instances": instances}]}
    assert state_buckets(json.dumps(state).encode()) == {"orders", "other"}


@pytest.mark.parametrize("state", [b"", b"Error: no state", b'{"version": 4', b"[]", b'{"bucket": 3}'])
def test_what_is_no_state_names_no_bucket(state):
    assert state_buckets(state) == frozenset()


@given(st.binary(max_size=200))
def test_any_bytes_can_be_asked_for_buckets(state):
    assert isinstance(state_buckets(state), frozenset)


def test_s3_is_asked_by_path_for_dotted_names_or_where_a_backend_says_so():
    assert not needs_path_style(frozenset({"orders"}), ['bucket = "orders"'])
    assert needs_path_style(frozenset({"orders.data"}), [])
    assert needs_path_style(frozenset(), ["use_path_style = true"])
