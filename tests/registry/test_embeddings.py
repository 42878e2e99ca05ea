"""Embeddings over real sockets: what is sent, what is read strictly, how a model that embeds is probed."""

from collections.abc import Callable
from typing import Any

import pytest

from evalportal.lib.secret_fields import Secret
from registry.client import CallFailed, Client, Embeddings, EmbedRequest
from registry.models import RegisteredModel
from registry.selectors import embedding_models_for, models_for, usable_in
from registry.services import model_probe
from tests.registry.raw_endpoint import raw_endpoint, response
from tests.stub_endpoint import StubEndpoint
from workspaces.access import system_access
from workspaces.models import Workspace


async def embed(reply: Any, *texts: str, **params: Any) -> Embeddings:
    async with raw_endpoint(reply) as seen, Client() as client:
        return await client.embed(seen.endpoint(), EmbedRequest("embedder", texts, params))


def vectors(*rows: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]
    return response({"object": "list", "data": data, "usage": {"prompt_tokens": 7}} | more)


async def test_embeddings_come_back_in_the_order_of_the_texts() -> None:
    turned = [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0.5]}]
    async with raw_endpoint(vectors(data=turned)) as seen, Client() as client:
        endpoint = seen.endpoint(api_key=Secret("sk-1234"))
        found = await client.embed(endpoint, EmbedRequest("embedder", ["a", "b"], {"dimensions": 2}))
    assert found.vectors == [[1.0, 0.5], [0.0, 1.0]] and found.input_tokens == 7
    assert seen.bodies == [{"model": "embedder", "input": ["a", "b"], "dimensions": 2}]
    assert seen.heads[0].lower().startswith(b"post /v1/embeddings ")
    assert b"authorization: bearer sk-1234" in seen.heads[0].lower()


async def test_embeddings_of_the_scripted_endpoint(stub: StubEndpoint) -> None:
    async with raw_endpoint(b"") as seen, Client() as client:
        endpoint = seen.endpoint(base_url=stub.base_url)
        found = await client.embed(endpoint, EmbedRequest("embedder", ["one two", "Two one!", "three"]))
    assert found.vectors[0] == found.vectors[1] != found.vectors[2]


@pytest.mark.parametrize(
    "reply",
    [
        vectors([1.0]), vectors([1.0], [1.0], [1.0]), vectors([1.0], [1.0, 2.0]), vectors([], []),
        vectors([1.0], "AACAPw=="), vectors([1.0], [None]), vectors([1.0], [True]), vectors([1.0], ["1"]),
        vectors([1.0], [10**400]), vectors(data={}), vectors(data=[1, 2]), response([]), response(b"no JSON"),
        response(b'{"data": [{"embedding": [NaN]}, {"embedding": [1]}]}'),
        vectors(data=[{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]),
        vectors(data=[{"index": 0.0, "embedding": [1]}, {"index": [], "embedding": [1]}]),
    ],
)  # fmt: skip
async def test_embeddings_that_are_none(reply: bytes) -> None:
    with pytest.raises(CallFailed) as caught:
        await embed(reply, "a", "b")
    assert caught.value.kind == "malformed" and caught.value.retriable


async def test_an_error_instead_of_embeddings() -> None:
    with pytest.raises(CallFailed, match="no such model") as caught:
        await embed(response({"error": {"message": "no such model"}}, "404 Not Found"), "a")
    assert caught.value.kind == "not_found"


@pytest.mark.django_db(transaction=True)
def test_a_model_that_embeds_is_probed_as_one_and_answers_no_chat(
    alpha: Workspace, model: Callable[..., RegisteredModel]
) -> None:
    embedder, chats = model(name="embedder", embeds=True), model(name="chats")
    result = model_probe(system_access(alpha), embedder)
    assert result.success and result.preview == "A vector of 64 numbers"
    assert list(embedding_models_for(alpha)) == [embedder]
    assert list(models_for(alpha)) == [chats] and set(usable_in(alpha)) == {embedder, chats}
