"""A language model that says what a test wants."""

from __future__ import annotations

from collections.abc import Callable

from ops_agent.model.conversation import LlmReply, ToolSpec, Turn


class SayingLlm:
    """ports.Llm: the given replies in order (the last one for ever), or what a function makes of the number of the
    request.

    Before the second reply, `between` happens.
    """

    def __init__(
        self,
        *replies: LlmReply,
        by_number: Callable[[int], LlmReply] | None = None,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        self._replies, self._by_number, self._between = replies, by_number, between
        self.heard: list[tuple[Turn, ...]] = []

    def warm_up(self) -> None: ...

    def reply(self, *, system: str, tools: tuple[ToolSpec, ...], turns: tuple[Turn, ...], max_tokens: int) -> LlmReply:
        self.heard.append(turns)
        if len(self.heard) == 2:
            self._between()
        if self._by_number is not None:
            return self._by_number(len(self.heard))
        return self._replies[min(len(self.heard), len(self._replies)) - 1]
