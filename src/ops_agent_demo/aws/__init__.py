"""An AWS on loopback: moto behind an STS that checks who asks, GitHub's OIDC issuer, and accounts with state buckets in
them.
"""

from ops_agent_demo.aws.embedded import EmbeddedAws
from ops_agent_demo.aws.front import Call

__all__ = ["Call", "EmbeddedAws"]
