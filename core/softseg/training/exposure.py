"""Whether others can reach the store through which ``torchrun``'s processes find each other."""

from __future__ import annotations

import importlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any


def exposure(environment: Mapping[str, str], addresses: Iterable[str] | None = None) -> str | None:
    """Return a sentence where the store can be reached from a public network, else None.

    PyTorch's store listens on every interface, asks for no password, and has no option to do otherwise.

    Parameters
    ----------
    environment: with torchrun's ``MASTER_ADDR`` and ``MASTER_PORT``.
    addresses: of this machine's interfaces; asked of the system by default.
    """
    own = list(_interfaces() if addresses is None else addresses)
    public = next((address for address in [environment.get("MASTER_ADDR", ""), *own] if _is_public(address)), None)
    if public is None:
        return None
    port = environment.get("MASTER_PORT", "")
    return (
        f"the store of torchrun (port {port}) listens on every interface, {public} included, and lets anybody in: "
        "close the port to others (docs/scaling.md, Who else can connect)"
    )


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:  # a name: its addresses are those of the interfaces of the machine it names
        return False


def _interfaces() -> list[str]:
    found: Mapping[str, Iterable[Any]] = importlib.import_module("psutil").net_if_addrs()
    return [str(entry.address) for entries in found.values() for entry in entries]
