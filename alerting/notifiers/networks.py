"""Which addresses on the network a message may go to. Pure.

Where a notice goes is text that people enter. Without a check, a webhook could be made to ask a machine inside the house
(or, in a cloud, the address that hands out credentials) in our name. So only public addresses are allowed, and the private
networks that the site names.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from contracts.errors import InvalidInput

Address = IPv4Address | IPv6Address
PRIVATE: Final = "it leads into a private network; if that is meant, name the network in VIGIL_NOTICE_NETWORKS"
_NAT64: Final = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """The private networks that notices may go to, besides every public address.

    >>> hospital = Networks.of("10.20.0.0/16, fd00:20::/64")
    >>> [hospital.permit(a) for a in ("10.20.4.1", "10.21.4.1", "9.9.9.9", "::ffff:127.0.0.1")]
    [True, False, True, False]
    """

    private: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, text: str) -> Networks:
        """From networks separated by commas. Raises `InvalidInput` that names the one at fault."""
        found = []
        for name in filter(None, (part.strip() for part in text.split(","))):
            try:
                found.append(ip_network(name))
            except ValueError:
                raise InvalidInput("notice_networks", f"{name!r} is not a network; write 10.20.0.0/16") from None
        return cls(private=tuple(found))

    def permit(self, address: str) -> bool:
        """Whether a message may go to this numeric address. What is not an address is not permitted."""
        try:
            plain = _plain(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(plain in network for network in self.private):
            return True
        return plain.is_global and not plain.is_multicast and not plain.is_reserved


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one: it is where the packets go."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
