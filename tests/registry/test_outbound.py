"""Which addresses the client connects to: names, literals, tricks, the operator's allow-list."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from registry import client as client_module
from registry.client import CallFailed, Client
from registry.outbound import AddressBlocked, Gate, GatedResolver
from tests.registry.certificates import serving_tls
from tests.registry.raw_endpoint import answer, chat, raw_endpoint, response

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "198.18.0.1",
    "192.0.2.1", "192.88.99.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
    "2002:7f00:1::", "2001:0:53aa:64c:0:0:80ff:fffe",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


class Names(AbstractResolver):
    """A hosts file."""

    def __init__(self, **hosts: list[str]):
        self.hosts = {name.replace("_", "."): found for name, found in hosts.items()}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        known = {"hostname": host, "port": port, "proto": 0, "flags": 0}
        return [
            ResolveResult(**known, host=found, family=socket.AF_INET6 if ":" in found else socket.AF_INET)  # type: ignore[typeddict-item]
            for found in self.hosts[host]
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_reserved_addresses_are_refused(address: str) -> None:
    assert not Gate([]).permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert Gate([]).permits(address)


@pytest.mark.parametrize("text", ["127.1", "2130706433", "0x7f.0.0.1", "017700000001", "1.2.3", "", "x"])
def test_what_is_no_canonical_address_is_refused(text: str) -> None:
    assert not Gate(["0.0.0.0/0"]).permits(text)


def test_allow_list_takes_networks_and_names() -> None:
    gate = Gate(["10.1.0.0/16", "fd00::/8", "vllm.internal"])
    assert gate.permits("10.1.2.3") and gate.permits("::ffff:10.1.2.3") and gate.permits("fd00::1")
    assert not gate.permits("10.2.0.1") and not gate.permits("127.0.0.1")
    assert gate.permits_host("VLLM.internal.", "192.168.9.9")
    assert not gate.permits_host("other.internal", "192.168.9.9")


async def test_only_the_public_addresses_of_a_name_are_connected_to() -> None:
    resolver = GatedResolver(Gate([]), Names(mixed=["10.0.0.1", "8.8.8.8"], inside=["10.0.0.1", "::1"]))
    assert [entry["host"] for entry in await resolver.resolve("mixed")] == ["8.8.8.8"]
    with pytest.raises(AddressBlocked, match=r"inside \(10\.0\.0\.1\) is a private"):
        await resolver.resolve("inside")


def test_socket_is_refused_for_an_address_nobody_vetted() -> None:
    """The last check, should a resolver's answer ever get past the others."""
    with pytest.raises(AddressBlocked):
        Gate([]).socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.1", 80)))


async def call(base_url: str) -> CallFailed:
    async with raw_endpoint(response(answer("reached"))) as seen, Client() as client:
        with pytest.raises(CallFailed) as caught:
            await client.complete(seen.endpoint(base_url=base_url.replace("PORT", str(seen.port))), chat())
        assert not seen.heads
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0",
        "[::]",
    ],
)
async def test_loopback_in_every_spelling_is_blocked(settings: Any, host: str) -> None:
    settings.OUTBOUND_ALLOW = []
    failed = await call(f"http://{host}:PORT/v1")
    assert failed.kind == "blocked" and not failed.retriable
    assert "EVALPORTAL_OUTBOUND_ALLOW" in failed.message


async def test_name_that_resolves_to_a_private_address_is_blocked(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTBOUND_ALLOW = []
    monkeypatch.setattr(
        client_module, "GatedResolver", lambda gate: GatedResolver(gate, Names(evil_example=["127.0.0.1"]))
    )
    failed = await call("http://evil.example:PORT/v1")
    assert failed.kind == "blocked" and "evil.example (127.0.0.1)" in failed.message


async def test_name_on_the_allow_list_is_reached_its_address_by_number_is_not(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTBOUND_ALLOW = ["vllm.internal"]
    monkeypatch.setattr(
        client_module, "GatedResolver", lambda gate: GatedResolver(gate, Names(vllm_internal=["127.0.0.1"]))
    )
    async with raw_endpoint(response(answer("reached"))) as seen, Client() as client:
        named = seen.endpoint(base_url=f"http://vllm.internal:{seen.port}/v1")
        assert (await client.complete(named, chat())).text == "reached"
        with pytest.raises(CallFailed) as caught:
            await client.complete(seen.endpoint(), chat())
    assert caught.value.kind == "blocked"


async def test_redirect_to_a_private_address_is_not_followed(settings: Any) -> None:
    async with raw_endpoint(response(answer("inside"))) as inside:
        away = response(b"", "302 Found", location=f"http://127.0.0.1:{inside.port}/v1")
        async with raw_endpoint(away) as seen, Client() as client:
            with pytest.raises(CallFailed, match="redirect"):
                await client.complete(seen.endpoint(), chat())
    assert not inside.heads


async def test_certificate_is_verified(tmp_path: Path) -> None:
    context = serving_tls(tmp_path)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    failed = await call(f"https://127.0.0.1:{port}/v1")
    server.close()
    assert failed.kind == "certificate" and not failed.retriable and "trusted" in failed.message
