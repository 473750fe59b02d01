"""Google Vertex AI without google-auth: the exchange of the job's token, what is sent, what a refusal says."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import anthropic
import httpx2
import pytest

from adapters.llm.llm_answers import GO, READ, answers, ask
from doubles.clock import FakeClock
from ops_agent.adapters.llm import client, vertex
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.adapters.llm.failures import understand
from ops_agent.adapters.llm.stream import surcharge_of
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import PeopleTurn
from ops_agent.model.errors import LlmError
from ops_agent_demo.llm.script import Answer
from ops_agent_demo.llm.server import LlmServer

PROVIDER = "projects/123456789/locations/global/workloadIdentityPools/ops-agent/providers/github"
FIELDS: dict[str, Any] = {"vertex_project": "my-project", "vertex_identity_provider": PROVIDER}


class Google:
    """Its token endpoint: each token of the job is taken once, for an hour."""

    def __init__(self, *statuses: int) -> None:
        self.asked: list[dict[str, Any]] = []
        self.statuses = list(statuses)

    def __call__(self, body: Any) -> tuple[int, dict[str, Any]]:
        self.asked.append(dict(body))
        status = self.statuses.pop(0) if self.statuses else 200
        if status != 200:
            return status, {"error": "unauthorized_client", "error_description": "The attribute condition rejected it."}
        access = f"access-{len(self.asked)}"
        return 200, {"access_token": access, "token_type": "Bearer", "expires_in": 3600}


def on_vertex(
    monkeypatch: pytest.MonkeyPatch, server: LlmServer, masked: list[str] | None = None, **fields: Any
) -> tuple[AnthropicLlm, FakeClock]:
    for module in (vertex, client):
        monkeypatch.setattr(module, "TOKEN_URL", f"{server.url}/v1/token")
    clock = FakeClock()
    settings = LlmSettings(base_url=server.url, **FIELDS, **fields)
    llm = AnthropicLlm(
        settings,
        clock,
        region="",
        working_seconds=9_999,
        identity="jwt for {}".format,
        uniform=lambda _, high: high,
        mask=(masked if masked is not None else []).append,
    )
    return llm, clock


def test_the_jobs_token_becomes_one_of_googles_which_asks_the_model_and_is_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    google, masked = Google(503), list[str]()
    with answers(Answer(text="1", calls=READ.calls), Answer(text="2"), exchange=google) as server:
        llm, clock = on_vertex(monkeypatch, server, masked)
        first = ask(llm)
        clock.time += 56 * 60
        again = ask(llm, (*GO, PeopleTurn(text="a")))
    assert first.tool_calls[0].arguments == {"paths": ["infra/main.tf"]} and again.text == "2" and not server.problems
    assert [h["Authorization"] for h in server.headers] == ["Bearer access-2", "Bearer access-3"]
    assert masked == ["access-2", "access-3"]
    assert google.asked[-1] == {
        "audience": f"//iam.googleapis.com/{PROVIDER}",
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        "subjectToken": f"jwt for https://iam.googleapis.com/{PROVIDER}",
    }
    sent = server.requests[0]
    assert sent["model"] == "claude-opus-5-5" and sent["thinking"] == {"type": "adaptive"}
    assert sent["tools"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "anthropic_beta" not in sent and not any("strict" in tool for tool in sent["tools"])


def test_a_job_that_google_does_not_know_is_told_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    with answers(Answer(text="1"), exchange=Google(401)) as server, pytest.raises(LlmError) as caught:
        ask(on_vertex(monkeypatch, server)[0])
    assert "attribute condition" in str(caught.value) and "vertex_identity_provider" in caught.value.hint
    assert not server.requests


@pytest.mark.parametrize(
    ("status", "name", "words", "remedy"),
    [
        (403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied on resource", "Vertex AI User"),
        (404, "NOT_FOUND", "Publisher Model `projects/p/x` was not found or you have no access", "Model Garden"),
        (429, "RESOURCE_EXHAUSTED", "Quota exceeded for aiplatform.googleapis.com/online_prediction", "quota"),
    ],
)
@pytest.mark.parametrize("in_a_list", [False, True])
def test_a_refusal_says_googles_words_and_what_to_do(
    status: int, name: str, words: str, remedy: str, in_a_list: bool
) -> None:
    body: Any = {"error": {"code": status, "message": words, "status": name}}
    response = httpx2.Response(status, request=httpx2.Request("POST", "https://aiplatform.googleapis.com"))
    failure = understand(anthropic.APIStatusError("x", response=response, body=[body] if in_a_list else body))
    assert failure is not None and words in failure.sentence and remedy in (failure.hint or "")
    assert failure.kind.value == ("transient" if status == 429 else "permanent")


@pytest.mark.parametrize("region", ["global", "us", "eu", "us-east5", "southamerica-east1"])
def test_the_address_is_the_sdks_own_and_regions_cost_a_tenth_more(region: str) -> None:
    settings = LlmSettings(vertex_region=region, **FIELDS)
    theirs = anthropic.AnthropicVertex(region=region, project_id="my-project").base_url
    assert client.address_of(settings, "sa-east-1") == str(theirs).rstrip("/")
    assert surcharge_of(settings) == (1.0 if region == "global" else 1.1)


def test_google_auth_is_not_loaded() -> None:
    code = (
        "import sys; sys.modules['google'] = sys.modules['google.auth'] = None\n"
        "from types import SimpleNamespace as S\n"
        "from ops_agent.adapters.llm.vertex import vertex_client\n"
        "from ops_agent.wiring import SystemClock\n"
        "settings = S(vertex_region='us', vertex_project='p', vertex_identity_provider='x')\n"
        "answer = S(status_code=200, json=lambda: {'access_token': 'a', 'expires_in': 9999})\n"
        "given = {'base_url': 'http://127.0.0.1:9', 'max_retries': 0}\n"
        "c = vertex_client(settings, str, SystemClock(), S(post=lambda *a, **b: answer), str, **given)\n"
        "import anthropic\n"
        "try:\n"
        "    c.messages.create(model='m', max_tokens=1, messages=[{'role': 'user', 'content': 'x'}], stream=True)\n"
        "except anthropic.APIConnectionError:\n"
        "    print('sent')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout == "sent\n", done.stderr
