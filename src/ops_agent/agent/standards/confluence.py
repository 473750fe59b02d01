"""Written standards from the team's Confluence: which pages are asked for, and what becomes of those that come back.

A page is a standard when its title holds one of a few words or it has one of a few labels. Queries are built here from
fields: space keys and words of a closed table. Nothing that the issue says is copied into one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ops_agent.issue.visible_text import clean, clean_line
from ops_agent.model.conversation import SharedStandards, Standard
from ops_agent.model.wiki import WikiAnswer

MAX_SHOWN = 24_000
"""Characters of pages that are shown from the start; the agent may read the others."""
MAX_PAGE = 12_000
TITLES = ("standard*", "guideline*", "convention*", "policy", "policies", "rules")
LABELS = ("standard", "standards", "guideline", "guidelines")
GENERAL = ("terraform", "infrastructure", "AWS", "GitHub Actions")

# What a page is searched for, and the words of an issue that lead to it; resource types (`aws_sqs_queue`) do as well.
_TOPICS = {
    "S3": r"s3|buckets?",
    "SQS": r"sqs|queues?|dlq|dead.letter",
    "SNS": r"sns|topics?|notifications?",
    "Lambda": r"lambdas?|functions?",
    "ECS": r"ecs|fargate|containers?",
    "EKS": r"eks|kubernetes",
    "ECR": r"ecr|images?",
    "EC2": r"ec2|instances?|autoscaling",
    "DynamoDB": r"dynamodb|tables?",
    "RDS": r"rds|aurora|db|databases?|postgres\w*|mysql",
    "ElastiCache": r"elasticache|redis|valkey|memcached",
    "OpenSearch": r"opensearch|elasticsearch",
    "Cognito": r"cognito|user pools?|sign.?in",
    "API Gateway": r"api.?gateway\w*|apigatewayv2|rest api|http api",
    "CloudFront": r"cloudfront|cdn",
    "CloudWatch": r"cloudwatch|alarms?|dashboards?|metrics?",
    "logging": r"logs?|logging|retention",
    "KMS": r"kms|encrypt\w*",
    "IAM": r"iam|roles?|permissions?",
    "VPC": r"vpc|subnets?|security groups?|network\w*",
    "load balancer": r"lb|alb|nlb|load balancers?",
    "Route 53": r"route.?53|dns|domains?",
    "certificate": r"acm|certificates?|tls",
    "WAF": r"waf\w*|firewalls?",
    "Secrets Manager": r"secretsmanager|secrets?|credentials?|passwords?",
    "Parameter Store": r"ssm|parameter store|parameters?",
    "EventBridge": r"eventbridge|schedul\w+|cron",
    "Step Functions": r"step functions?|sfn|state machines?",
    "Kinesis": r"kinesis|firehose|streams?",
    "Athena": r"athena|glue|redshift|data lake",
    "backup": r"backups?|restore|recovery",
    "tagging": r"tags?|tagging",
    "naming": r"names?|naming",
    "pipeline": r"pipelines?|workflows?|ci|cd|deploy\w*",
}
_MOST_TOPICS = 12


def topics(request: str) -> tuple[str, ...]:
    """What the text of a work item is about, in the order of the table."""
    words = re.sub(r"\baws_(\w+)", lambda found: found[1].replace("_", " "), request.casefold())
    return tuple(topic for topic, pattern in _TOPICS.items() if re.search(rf"\b(?:{pattern})\b", words))[:_MOST_TOPICS]


def queries(spaces: Sequence[str], request: str) -> tuple[str, ...]:
    """CQL, the best first: standards that name a topic in their title, in their text, and the general ones."""
    about = topics(request)
    return (
        *(_query(spaces, field, about) for field in ("title", "text") if about),
        _query(spaces, "text", GENERAL),
    )


def _query(spaces: Sequence[str], field: str, words: Iterable[str]) -> str:
    is_standard = f"{_any('title', TITLES)} OR label IN {_listed(LABELS)}"
    return f"space IN {_listed(spaces)} AND type = page AND ({is_standard}) AND ({_any(field, words)})"


def _any(field: str, words: Iterable[str]) -> str:
    return " OR ".join(f"{field} ~ {quoted(word)}" for word in words)


def _listed(values: Iterable[str]) -> str:
    return f"({', '.join(map(quoted, values))})"


def quoted(text: str) -> str:
    """A string of CQL: only a backslash and a quotation mark mean something in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def standards_of(answer: WikiAnswer) -> SharedStandards:
    """The pages as standards, cleaned like an issue's text; what does not fit in MAX_SHOWN is there on request."""
    found = []
    left = MAX_SHOWN
    for page in answer.pages:
        text = clean(page.text, MAX_PAGE).text.strip()
        title = clean_line(page.title, 120).text or "untitled"
        if not text:
            continue
        fits = len(text) <= left
        left -= len(text) if fits else 0
        found.append(
            Standard(
                id=f"confluence-{page.id}",
                description=f"a page of Confluence about {', '.join(topics(title)) or 'another subject'}",
                text=text,
                source=f"Confluence: {title}, page {page.id}, version {page.version}",
                always=fits,
                is_material=True,
            )
        )
    missing = (f"Confluence: {clean_line(problem, 500).text}" for problem in answer.problems)
    return SharedStandards(found=tuple(found), unavailable=tuple(missing))
