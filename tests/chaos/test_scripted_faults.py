"""The scripted provider's faults and counts, by which the cases are judged."""

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from tests import stub_faults
from tests.stub_endpoint import StubEndpoint


async def ask(stub: StubEndpoint, prompt: str) -> httpx.Response:
    body = {"model": "stub-model", "messages": [{"role": "user", "content": prompt}]}
    async with httpx.AsyncClient(transport=AiohttpTransport(), timeout=5) as http:
        return await http.post(f"{stub.base_url}/chat/completions", json=body)


async def test_counts_the_calls_of_each_key(stub: StubEndpoint) -> None:
    statuses = [(await ask(stub, "x [[key:a]] [[fail:500*2]]")).status_code for _ in range(4)]
    await ask(stub, "x [[key:b]]")
    assert statuses == [500, 500, 200, 200]
    assert stub.stats.as_dict()["keys"] == {"a": [4, 2, 2], "b": [1, 1, 1]}


@pytest.mark.parametrize(
    ("form", "header"), [("seconds", "retry-after"), ("date", "retry-after"), ("ms", "retry-after-ms")]
)
async def test_says_when_to_come_back(stub: StubEndpoint, form: str, header: str) -> None:
    stub.set(retry_after=2)
    answer = await ask(stub, f"[[fail:429-{form}]]")
    told = {"seconds": "2", "ms": "2000"}.get(form)
    assert answer.status_code == 429
    assert answer.headers[header] == told if told else answer.headers[header].endswith("GMT")


async def test_packs_a_bomb(stub: StubEndpoint) -> None:
    body = stub_faults.bomb()
    assert len(body) < 1 << 20
    answer = await ask(stub, "[[fail:bomb]]")
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.content) == stub_faults.BOMB_BYTES


async def test_mislabels_its_charset(stub: StubEndpoint) -> None:
    with pytest.raises(UnicodeDecodeError):
        (await ask(stub, "[[fail:charset]]")).content.decode()


async def test_says_where_a_held_call_came_from(stub: StubEndpoint) -> None:
    with pytest.raises(httpx.ReadTimeout):
        async with httpx.AsyncClient(timeout=0.3) as http:
            body = {"model": "stub-model", "messages": [{"role": "user", "content": "[[fail:hold]]"}]}
            await http.post(f"{stub.base_url}/chat/completions", json=body)
    assert len(stub.stats.held_ports) == 1
