"""The store of torchrun: said where others can reach it."""

from __future__ import annotations

import pytest

from softseg.training.exposure import exposure

PRIVATE = ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.7", "172.16.5.5", "fe80::1%eth0", "fd00::2", "aa:bb:cc:dd:ee:ff"]


@pytest.mark.parametrize("master", ["localhost", "127.0.0.1", "node1", "10.1.2.3", ""])
def test_private_networks_are_nothing_to_speak_of(master: str) -> None:
    assert exposure({"MASTER_ADDR": master, "MASTER_PORT": "29500"}, PRIVATE) is None


@pytest.mark.parametrize("public", ["8.8.8.8", "2600::1", "2600::1%eth0"])
def test_a_public_interface_is_said_with_its_port(public: str) -> None:
    said = exposure({"MASTER_ADDR": "localhost", "MASTER_PORT": "29512"}, [*PRIVATE, public])
    assert said is not None
    assert "port 29512" in said
    assert public in said


def test_a_public_master_is_said() -> None:
    assert "8.8.4.4" in str(exposure({"MASTER_ADDR": "8.8.4.4", "MASTER_PORT": "1"}, PRIVATE))


def test_this_machine_can_be_asked() -> None:
    said = exposure({"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"})
    assert said is None or "29500" in said
