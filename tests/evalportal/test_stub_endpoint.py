"""The scripted endpoint itself: it answers, counts and misbehaves as it says."""

import asyncio
import json

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from tests.stub_endpoint import StubEndpoint, parse_flags, read_recording


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=AiohttpTransport(), timeout=2)


async def ask(stub: StubEndpoint, prompt: str, **values: object) -> httpx.Response:
    body = {"model": "stub-model", "messages": [{"role": "user", "content": prompt}]} | values
    async with client() as http:
        return await http.post(f"{stub.base_url}/chat/completions", json=body)


async def test_answers_the_marked_reference(stub: StubEndpoint) -> None:
    answer = await ask(stub, "2 + 2? [[answer:4]]")
    assert answer.json()["choices"][0]["message"]["content"].endswith("ANSWER: 4")
    assert stub.stats.status == {200: 1}


async def test_accuracy_is_a_property_of_the_prompt(stub: StubEndpoint) -> None:
    stub.set(accuracy=0.5)
    first = [(await ask(stub, f"{n} [[answer:{n}]]")).text for n in range(20)]
    assert first == [(await ask(stub, f"{n} [[answer:{n}]]")).text for n in range(20)]
    right = sum(f'ANSWER: {n}"' in text for n, text in enumerate(first))
    assert 3 < right < 17
    assert stub.stats.duplicates == 20


async def test_streams_pieces_that_join_to_the_answer(stub: StubEndpoint) -> None:
    answer = await ask(stub, "x [[answer:9]]", stream=True, stream_options={"include_usage": True})
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    parsed = [json.loads(event) for event in events[:-1]]
    text = "".join(choice["delta"].get("content", "") for event in parsed for choice in event["choices"])
    assert text.endswith("ANSWER: 9")
    assert parsed[-1]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_marked_prompts_fail_with_that_status(stub: StubEndpoint, status: int) -> None:
    answer = await ask(stub, f"[[fail:{status}]]")
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == f"injected {status}"


@pytest.mark.parametrize("mode", ["disconnect", "reset"])
async def test_a_broken_connection_raises(stub: StubEndpoint, mode: str) -> None:
    with pytest.raises(httpx.HTTPError):
        await ask(stub, f"[[fail:{mode}]]")


@pytest.mark.parametrize("mode", ["hang", "drip"])
async def test_only_a_deadline_ends_an_answer_that_never_comes(stub: StubEndpoint, mode: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await ask(stub, f"[[fail:{mode}]]")


async def test_fails_first_attempts_only(stub: StubEndpoint) -> None:
    stub.set(fail_first=2, fail_mode=["429"], retry_after=0.25, retry_after_form="ms")
    answers = [await ask(stub, "x [[answer:1]]") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after-ms"] == "250"


async def test_refuses_past_its_rate(stub: StubEndpoint) -> None:
    stub.set(rpm=2, retry_after_form="date")
    answers = [await ask(stub, "x") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"].endswith("GMT")


async def test_asks_for_its_key(stub: StubEndpoint) -> None:
    stub.set(api_key="secret")
    assert (await ask(stub, "x")).status_code == 401


def test_reads_recorded_answers(tmp_path) -> None:
    rows = [
        {"question": "How many?", "ground_truth": "3", "a": "It is 3", "b": {"solution": "4", "ok": False}}
    ]
    path = tmp_path / "recorded.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_recording(path) == {"How many?": {"a": "It is 3", "b": "4"}}
    flags, options = parse_flags(["--replay", str(path), "--latency-ms", "5", "--fail-mode", "429,500"])
    assert options.models == ["a", "b"]
    assert (options.latency_ms, options.fail_mode, flags.port) == (5.0, ["429", "500"], 8901)
