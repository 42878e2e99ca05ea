"""The client against real sockets: answers, failures, streams, deadlines, limits."""

import asyncio
import gzip
import json
import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from evalportal.lib.secret_fields import Secret
from registry import client as client_module
from registry.client import CallFailed, ChatRequest, Client, Completion
from registry.failures import retry_after_ms
from tests.registry.raw_endpoint import SSE, answer, chat, delta, events, raw_endpoint, response
from tests.stub_endpoint import StubEndpoint


async def complete(reply: Any, request: ChatRequest | None = None, **endpoint: Any) -> Completion:
    async with raw_endpoint(reply) as seen, Client() as client:
        return await client.complete(seen.endpoint(**endpoint), request or chat())


async def failure(reply: Any, request: ChatRequest | None = None, **endpoint: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await complete(reply, request, **endpoint)
    return caught.value


# Answers


async def test_answer_carries_text_usage_and_times() -> None:
    done = await complete(response(answer("It is 4.")))
    assert (done.text, done.finish_reason, done.input_tokens, done.output_tokens) == (
        "It is 4.",
        "stop",
        3,
        5,
    )
    assert done.status_code == 200 and done.first_token_ms is None and done.latency_ms >= 0


async def test_request_holds_what_was_asked() -> None:
    async with raw_endpoint(response(answer("ok"))) as seen, Client() as client:
        asked = chat(temperature=0, max_tokens=None, extra_body={"top_k": 5, "model": "other"}, stream=True)
        endpoint = seen.endpoint(api_key=Secret("sk-1234"), headers={"X-Team": "eval"})
        await client.complete(endpoint, ChatRequest(asked.model, asked.messages, asked.params))
    assert seen.bodies == [
        {
            "model": "some-model",
            "messages": [{"role": "user", "content": "hello"}],
            "temperature": 0,
            "top_k": 5,
        }
    ]
    head = seen.heads[0].lower()
    assert head.startswith(b"post /v1/chat/completions ")
    assert b"authorization: bearer sk-1234" in head and b"x-team: eval" in head


async def test_images_go_out_as_data_urls() -> None:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "media_type": "image/png", "data": "AAAA"},
    ]
    async with raw_endpoint(response(answer("a cat"))) as seen, Client() as client:
        await client.complete(seen.endpoint(), ChatRequest("m", [{"role": "user", "content": parts}], {}))
    sent = seen.bodies[0]["messages"][0]["content"]
    assert sent[0] == parts[0]
    assert sent[1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


async def test_query_of_the_base_url_stays() -> None:
    async with raw_endpoint(response(answer("ok"))) as seen, Client() as client:
        await client.complete(
            seen.endpoint(base_url=f"http://127.0.0.1:{seen.port}/openai/?api-version=3"), chat()
        )
    assert seen.heads[0].startswith(b"POST /openai/chat/completions?api-version=3 ")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (answer(None, refusal="I can't help with that."), "I can't help with that."),
        (answer(None), ""),
        (answer("yes", reasoning_content="long thoughts"), "yes"),
        (answer([{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]), "ab"),
        (answer("nul \0 and half \ud83d of a pair"), "nul  and half  of a pair"),
        (answer("whole pair \ud83d\ude00"), "whole pair 😀"),
    ],
)  # fmt: skip
async def test_text_is_found_and_made_storable(body: Any, text: str) -> None:
    assert (await complete(response(body))).text == text


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(answer("fine") | {"logprob": math.nan}).encode(),
        json.dumps(answer("fine")).encode("utf-8-sig"),
        json.dumps(answer("fine")).encode("utf-16"),
        json.dumps(answer("fine") | {"id": 10**40}).encode(),
    ],
)
async def test_json_that_is_not_quite_json_is_read(body: bytes) -> None:
    assert (await complete(response(body))).text == "fine"


async def test_odd_usage_is_none_not_an_error() -> None:
    body = answer("x") | {"usage": {"prompt_tokens": -1, "completion_tokens": True}}
    done = await complete(response(body))
    assert (done.input_tokens, done.output_tokens) == (None, None)


async def test_lone_surrogates_in_a_prompt_still_go_out() -> None:
    assert (await complete(response(answer("ok")), chat("half \ud83d"))).text == "ok"


async def test_packed_answers_are_unpacked_though_not_asked_for() -> None:
    packed = gzip.compress(json.dumps(answer("packed")).encode())
    assert (await complete(response(packed, content_encoding="gzip"))).text == "packed"


# Failures


@pytest.mark.parametrize(
    ("status", "body", "kind", "retriable"),
    [
        ("400 Bad Request", {"error": {"message": "no such parameter"}}, "bad_request", False),
        ("401 Unauthorized", {"error": {"message": "bad key"}}, "unauthorized", False),
        ("402 Payment Required", {}, "unauthorized", False),
        ("403 Forbidden", b"<html>", "unauthorized", False),
        ("404 Not Found", {"detail": "no such model"}, "not_found", False),
        ("408 Request Timeout", {}, "timeout", True),
        ("429 Too Many Requests", {"error": {"message": "slow down"}}, "rate_limited", True),
        ("429 Too Many Requests", {"error": {"code": "insufficient_quota"}}, "unauthorized", False),
        ("500 Internal Server Error", b"", "server_error", True),
        ("501 Not Implemented", b"", "bad_request", False),
        ("529 Overloaded", b"", "server_error", True),
        ("200 OK", b"<html>no</html>", "malformed", True),
        ("200 OK", {"choices": []}, "empty", True),
        ("200 OK", {"choices": [{}]}, "malformed", True),
        ("200 OK", [], "malformed", True),
        ("200 OK", {"error": {"message": "upstream died", "code": 502}}, "server_error", True),
        ("200 OK", {"error": {"message": "slow down", "code": 429}}, "rate_limited", True),
        ("200 OK", b"[" * 100_000, "malformed", True),
    ],
)  # fmt: skip
async def test_each_failure_has_its_kind(status: str, body: Any, kind: str, retriable: bool) -> None:
    failed = await failure(response(body, status))
    assert (failed.kind, failed.retriable) == (kind, retriable)
    assert failed.status_code == int(status[:3])
    assert failed.message.endswith(".") or ":" in failed.message


async def test_message_repeats_what_the_endpoint_said() -> None:
    failed = await failure(response({"error": {"message": "no such parameter 'x'"}}, "400 Bad Request"))
    assert "400 Bad Request" in failed.message and "no such parameter 'x'" in failed.message
    assert "no such parameter" in failed.body_start


async def test_redirect_is_refused_and_says_so() -> None:
    failed = await failure(response(b"", "307 Temporary Redirect", location="http://169.254.169.254/latest"))
    assert failed.kind == "bad_request" and not failed.retriable
    assert "redirect" in failed.message and "169.254.169.254" in failed.message


async def test_a_key_in_the_address_is_cut_out_of_errors() -> None:
    answer = response(
        b"", "307 Temporary Redirect", location="https://x.example/v1?api-key=hush%2Dhush&v=2024"
    )
    async with raw_endpoint(answer) as seen, Client() as client:
        address = f"http://127.0.0.1:{seen.port}/v1?api-key=hush%2Dhush&v=2024"
        with pytest.raises(CallFailed) as caught:
            await client.complete(seen.endpoint(base_url=address), chat())
    failed = caught.value
    assert "x.example" in failed.message and "hush" not in failed.message


async def test_secrets_are_cut_out_of_errors() -> None:
    body = {"error": {"message": "key sk-very-secret and token t0ps3cret refused"}, "pad": "x" * 5000}
    failed = await failure(
        response(body, "401 Unauthorized"),
        api_key=Secret("sk-very-secret"),
        headers={"X-Auth": "Token t0ps3cret"},
    )
    shown = failed.message + failed.body_start + str(failed) + repr(failed)
    assert "sk-very-secret" not in shown and "t0ps3cret" not in shown and "[redacted]" in shown
    assert len(failed.body_start) <= 2000


async def test_key_at_the_cut_does_not_stay_by_half() -> None:
    key = "sk-0123456789abcdef"
    failed = await failure(response(b"x" * 1990 + key.encode(), "500 Oops"), api_key=Secret(key))
    assert "sk-0123" not in failed.body_start


@pytest.mark.parametrize("value", ["sk-ä", "sk-1\r\nx-evil: 1", "sk-\ud83d"])
async def test_key_that_http_cannot_carry(value: str) -> None:
    failed = await failure(response(answer("ok")), api_key=Secret(value))
    assert failed.kind == "bad_request" and value not in failed.message


async def test_refused_connection_is_a_failed_connection() -> None:
    async with raw_endpoint(b"") as seen:
        port = seen.port
    async with Client() as client:
        with pytest.raises(CallFailed) as caught:
            await client.complete(seen.endpoint(base_url=f"http://127.0.0.1:{port}/v1"), chat())
    assert caught.value.kind == "connection" and caught.value.retriable
    assert "connection refused" in caught.value.message


async def test_connection_dropped_before_the_answer_may_have_been_sent() -> None:
    failed = await failure(b"")
    assert failed.kind == "connection" and failed.retriable and "may have got" in failed.message


async def test_connection_dropped_within_the_answer() -> None:
    failed = await failure(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
    assert failed.kind == "connection" and failed.retriable


async def test_what_is_not_http_is_malformed() -> None:
    assert (await failure(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")).kind == "malformed"


@pytest.mark.parametrize("base_url", ["ftp://x.example/", "http://", "http://[::1/", "x"])
async def test_address_that_is_none(base_url: str) -> None:
    async with raw_endpoint(b"") as seen, Client() as client:
        with pytest.raises(CallFailed) as caught:
            await client.complete(seen.endpoint(base_url=base_url), chat())
    assert caught.value.kind == "bad_request"


async def test_unknown_protocol_names_its_neighbour() -> None:
    assert "openai_chat" in (await failure(b"", protocol="openai_chatt")).message


# Retry-After


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7000),
        ({"retry-after": "0.5"}, 500),
        ({"retry-after-ms": "120", "retry-after": "9"}, 120),
        ({"retry-after": format_datetime(datetime.fromtimestamp(1_000_060, UTC), usegmt=True)}, 60_000),
        ({"retry-after": format_datetime(datetime.fromtimestamp(999_000, UTC), usegmt=True)}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after": "9" * 400}, 86_400_000),
        ({"retry-after-ms": "inf"}, 86_400_000),
        ({"retry-after-ms": "-1"}, 0),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9000),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400_000),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_retry_after_in_each_form(headers: dict[str, str], wait: int | None) -> None:
    assert retry_after_ms(httpx.Headers(headers), now=1_000_000) == wait


def test_a_date_counts_from_the_endpoints_own_time() -> None:
    dates = {"date": "Sat, 21 Nov 2026 12:00:00 GMT", "retry-after": "Sat, 21 Nov 2026 12:00:07 GMT"}
    assert retry_after_ms(httpx.Headers(dates)) == 7000


async def test_retry_after_reaches_the_caller() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    failed = await failure(response(b"", "503 Service Unavailable", retry_after=later))
    assert failed.retry_after_ms is not None and 27_000 < failed.retry_after_ms <= 30_000


# Deadlines and limits


async def test_hanging_endpoint_ends_at_the_deadline() -> None:
    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    started = time.perf_counter()
    failed = await failure(hang, timeout_s=0.3)
    assert failed.kind == "timeout" and failed.retriable and time.perf_counter() - started < 30


@pytest.mark.parametrize("stream", [False, True])
async def test_slow_drip_cannot_hold_a_call(stream: bool) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(SSE)
        for _ in range(1200):
            writer.write(b": keep-alive\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    started = time.perf_counter()
    failed = await failure(drip, chat(stream=stream), timeout_s=0.4)
    assert failed.kind == "timeout" and failed.latency_ms > 300 and time.perf_counter() - started < 30


async def flood(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    for _ in range(40):
        writer.write(b"x" * (1 << 20))
        await writer.drain()


async def test_body_past_the_cap_is_cut_off() -> None:
    failed = await failure(flood)
    assert failed.kind == "too_large" and not failed.retriable and "10 MB" in failed.message


async def test_bomb_is_not_unpacked_past_the_cap() -> None:
    bomb = gzip.compress(b"0" * (64 << 20))
    assert (await failure(response(bomb, content_encoding="gzip"))).kind == "too_large"


async def test_stream_past_the_cap_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module.Inflow.__init__, "__defaults__", (1000,))
    failed = await failure(events(*[delta("x" * 100) for _ in range(50)]), chat(stream=True))
    assert failed.kind == "too_large"


async def test_endless_error_body_is_read_in_part() -> None:
    async def rant(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oops\r\n\r\n")
        for _ in range(100):
            writer.write(b"e" * (1 << 16))
            await writer.drain()

    failed = await failure(rant)
    assert failed.kind == "server_error" and len(failed.body_start) == 2000


async def test_cancelled_call_is_cancelled_not_failed() -> None:
    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async with raw_endpoint(hang) as seen, Client() as client:
        call = asyncio.create_task(client.complete(seen.endpoint(), chat()))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


# Streams


async def stream(reply: bytes) -> tuple[Completion, list[str]]:
    pieces: list[str] = []
    async with raw_endpoint(reply) as seen, Client() as client:
        done = await client.complete(seen.endpoint(), chat(stream=True), on_text=pieces.append)
    assert seen.bodies[0]["stream"] is True and seen.bodies[0]["stream_options"] == {"include_usage": True}
    return done, pieces


USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}


async def test_stream_gives_pieces_then_the_whole() -> None:
    done, pieces = await stream(
        events(delta(""), delta("Hel"), ": ping\n\n", delta("lo"), delta(None, "stop"), USAGE)
    )
    assert pieces == ["Hel", "lo"] and done.text == "Hello"
    assert (done.finish_reason, done.input_tokens, done.output_tokens) == ("stop", 3, 5)
    assert done.first_token_ms is not None and done.first_token_ms <= done.latency_ms


async def test_stream_with_every_line_ending_and_cut_anywhere() -> None:
    text = "déjà vu 😀"

    async def byte_by_byte(writer: asyncio.StreamWriter) -> None:
        writer.write(SSE)
        body = events(delta(text), delta(None, "stop")).removeprefix(SSE).replace(b"\n", b"\r\n")
        for at in range(0, len(body), 7):
            writer.write(body[at : at + 7])
            await writer.drain()
            await asyncio.sleep(0)

    async with raw_endpoint(byte_by_byte) as seen, Client() as client:
        assert (await client.complete(seen.endpoint(), chat(stream=True))).text == text


async def test_stream_without_done_is_whole_when_it_says_why_it_ended() -> None:
    done, _ = await stream(events(delta("yes"), delta(None, "length"), end=""))
    assert (done.text, done.finish_reason) == ("yes", "length")


async def test_last_event_without_blank_line_counts() -> None:
    done, _ = await stream(events(delta("yes"), end="data: " + json.dumps(delta("!", "stop"))))
    assert done.text == "yes!"


async def test_surrogate_pair_split_over_events_is_joined() -> None:
    done, pieces = await stream(events(delta("\ud83d"), delta("\ude00"), delta(None, "stop")))
    assert done.text == "😀" and "".join(pieces) == ""


async def test_refusal_streams_as_text() -> None:
    done, pieces = await stream(events(delta(refusal="I "), delta(refusal="won't."), delta(None, "stop")))
    assert done.text == "I won't." and pieces == ["I ", "won't."]


async def test_endpoint_that_ignores_stream_is_understood() -> None:
    done, pieces = await stream(response(answer("whole"), content_type="application/json"))
    assert done.text == "whole" and pieces == ["whole"] and done.first_token_ms is None


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (events(delta("half"), end=""), "connection"),
        (SSE.replace(b"connection: close", b"content-length: 900") + b"data: {}\n\n", "connection"),
        (events(delta("half"), {"error": {"message": "overloaded", "code": 503}}), "server_error"),
        (events({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}), "rate_limited"),
        (events("data: {not json\n\n"), "malformed"),
        (events("data: 7\n\n"), "malformed"),
        (events(), "empty"),
    ],
)  # fmt: skip
async def test_stream_that_goes_wrong(reply: bytes, kind: str) -> None:
    failed = await failure(reply, chat(stream=True))
    assert failed.kind == kind and failed.retriable


# The pool, and loops


async def test_connections_are_kept_for_the_next_call(stub: StubEndpoint) -> None:
    async with raw_endpoint(b"") as seen, Client() as client:
        endpoint = seen.endpoint(base_url=stub.base_url)
        for streamed in (False, True, False, True):
            await client.complete(endpoint, chat(stream=streamed))
        assert sum(len(kept) for kept in client._connector()._conns.values()) == 1


async def test_cookies_of_an_endpoint_are_not_kept() -> None:
    async with raw_endpoint(response(answer("ok"), set_cookie="a=b")) as seen, Client() as client:
        endpoint = seen.endpoint()
        for _ in range(2):
            await client.complete(endpoint, chat())
    assert len(seen.heads) == 2 and not any(b"cookie" in head.lower() for head in seen.heads)


async def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await complete(response(answer("direct")))).text == "direct"


def test_each_loop_has_a_client_of_its_own(stub: StubEndpoint) -> None:
    async def once(client: Client) -> str:
        async with raw_endpoint(b"") as seen, client:
            return (await client.complete(seen.endpoint(base_url=stub.base_url), chat("[[answer:4]]"))).text

    clients = [Client(), Client()]  # made outside any loop
    assert all("ANSWER: 4" in asyncio.run(once(client)) for client in clients)


async def test_list_of_models(stub: StubEndpoint) -> None:
    async with raw_endpoint(b"") as seen, Client() as client:
        assert "stub-model" in await client.list_models(seen.endpoint(base_url=stub.base_url))


async def test_list_of_models_in_no_known_form() -> None:
    async with raw_endpoint(response({"models": {}})) as seen, Client() as client:
        with pytest.raises(CallFailed, match="not in the OpenAI format"):
            await client.list_models(seen.endpoint())
