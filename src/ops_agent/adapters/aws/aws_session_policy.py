"""The policy that narrows every session, whatever the role may do: reading only, one region, our accounts, no secrets.

It is passed beside AWS's managed ReadOnlyAccess (`PolicyArns`): a session may do what the role AND one of these policies allow, minus what
a statement here denies. So a role that is widened later does not widen ops-agent. STS packs it; 2,048 characters are the limit of the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

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
            "Condition": {"StringNotEquals": {"aws:ResourceAccount": sorted(accounts)}, "Null": {"aws:ResourceAccount": "false"}},
        },
        {"Sid": "Secrets", "Effect": "Deny", "Action": list(_SECRETS), "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
