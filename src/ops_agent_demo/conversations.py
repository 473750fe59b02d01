"""What was said between ops-agent and the scripted language model, whole: the requests' messages and the answer to the
last of them.
"""

from __future__ import annotations

from typing import Any

from ops_agent_demo.llm.script import Answer, Exchange, Player, Script
from ops_agent_demo.llm.server import LlmServer
from ops_agent_demo.llm.wire import message

Messages = list[dict[str, Any]]


class Minutes:
    """Listens to scripts as they are played. A conversation is identified by its first message, as in the server."""

    def __init__(self) -> None:
        self._last: dict[str, Answer] = {}

    def of(self, script: Script) -> Script:
        """The same script, listened to."""

        def play() -> Player:
            player = script.play()
            next(player)
            exchange = yield Answer()
            while True:
                try:
                    answer = player.send(exchange)
                except StopIteration:
                    return
                self._last[exchange.first_text] = answer
                exchange = yield answer

        return Script(play=play, match=script.match, name=script.name)

    def conversations(self, llm: LlmServer) -> list[Messages]:
        """Each conversation of `llm` in the order of its first request."""
        longest: dict[str, Messages] = {}
        for body in llm.requests:
            first = Exchange(body=body).first_text
            if len(body["messages"]) >= len(longest.get(first, ())):
                longest[first] = body["messages"]
        return [[*messages, *self._answer(first)] for first, messages in longest.items()]

    def _answer(self, first: str) -> Messages:
        answer = self._last.get(first)
        if answer is None:
            return []
        return [{"role": "assistant", "content": message(answer, 0, "scripted", {})["content"]}]
