"""A language model on loopback that plays a script: the Messages API for the demo and the tests."""

from ops_agent_demo.llm.script import Answer, Exchange, Script, load_script
from ops_agent_demo.llm.server import LlmServer

__all__ = ["Answer", "Exchange", "LlmServer", "Script", "load_script"]
