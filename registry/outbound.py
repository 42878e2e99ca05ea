"""Which addresses outbound calls may connect to, checked where the connection is made."""

import ipaddress
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
IPV4_COMPATIBLE = IPv6Network("::/96")
# Global by the registries, yet never an endpoint: local NAT64, Teredo, 6to4 relays, Azure's host agent.
NEVER: tuple[Network, ...] = (
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2001::/23"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("168.63.129.16/32"),
)


class AddressBlocked(Exception):
    """The operator's allow-list does not name this private address."""

    def __init__(self, host: str, address: str):
        where = host if host == address else f"{host} ({address})"
        super().__init__(
            f"{where} is a private or reserved address; "
            "the operator can allow it in EVALPORTAL_OUTBOUND_ALLOW."
        )


def plain(address: Address) -> Address:
    """The IPv4 address inside a mapped, translated or tunnelled IPv6 one; else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    embeds = address in NAT64 or (address in IPV4_COMPATIBLE and int(address) > 1)
    return IPv4Address(int(address) & 0xFFFFFFFF) if embeds else address


def is_public(address: Address) -> bool:
    if any(address.version == network.version and address in network for network in NEVER):
        return False
    odd = address.is_multicast or address.is_reserved or address.is_link_local or address.is_unspecified
    return address.is_global and not odd and not getattr(address, "is_site_local", False)


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[Address, bool] | None:
    """The literal address and whether it is public; None for what is no canonical address."""
    try:
        address = plain(ipaddress.ip_address(text))
    except ValueError:
        return None
    return address, is_public(address)


class Gate:
    """Public addresses pass; others only if an entry of the allow-list (CIDR or host name) names them."""

    def __init__(self, allow: Iterable[str]):
        self.networks: list[Network] = []
        self.names: set[str] = set()
        self._granted: set[str] = set()  # addresses that an allowed host name led to
        for entry in allow:
            try:
                self.networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self.names.add(_name(entry))

    def permits(self, text: str) -> bool:
        """Whether this literal address may be reached. What is no canonical address may not."""
        known = read(text)
        if known is None:
            return False
        address, public = known
        return public or any(
            address.version == network.version and address in network for network in self.networks
        )

    def permits_host(self, host: str, text: str) -> bool:
        if self.permits(text):
            return True
        if _name(host) in self.names:
            self._granted.add(text)
            return True
        return False

    def check_literal(self, host: str) -> None:
        """Raises AddressBlocked when `host` looks like an address and may not be reached."""
        looks_numeric = ":" in host or host.replace(".", "").isdigit()
        if looks_numeric and not self.permits(host):
            raise AddressBlocked(host, host)

    def socket(self, addr_info: Any) -> socket.socket:
        """The connector's socket factory: the last check, on the very address being connected to."""
        family, kind, proto, _, address = addr_info
        if not self.permits(address[0]) and address[0] not in self._granted:
            raise AddressBlocked(address[0], address[0])
        made = socket.socket(family=family, type=kind, proto=proto)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


class GatedResolver(AbstractResolver):
    """Resolves names to those of their addresses that the gate permits."""

    def __init__(self, gate: Gate, inner: AbstractResolver | None = None):
        self.gate = gate
        self.inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self.inner.resolve(host, port, family)
        allowed = [entry for entry in found if self.gate.permits_host(host, entry["host"])]
        if found and not allowed:
            raise AddressBlocked(host, found[0]["host"])
        return allowed

    async def close(self) -> None:
        await self.inner.close()


def _name(host: str) -> str:
    return host.strip().rstrip(".").lower()
