"""Limits of control groups, from the files that the kernel would show."""

from __future__ import annotations

from pathlib import Path

import pytest

from softseg import cgroups, system
from softseg.cgroups import MemoryLimit

MB = 2**20
NONE_V1 = 9223372036854771712
"""What version 1 says where there is no limit."""


class Machine:
    """A file system with ``/proc/self`` and the mounts of the groups; other tests' limits are hidden."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        monkeypatch.setattr(cgroups, "ROOT", root)

    def process(self, groups: str, mounts: str) -> None:
        """Set ``/proc/self/cgroup`` and, as ``root point kind options``, the mounts."""
        self.write("proc/self/cgroup", groups)
        lines = ["22 1 0:20 / / rw - ext4 /dev/vda rw"]
        for line in mounts.splitlines():
            root, point, kind, options = line.split()
            lines.append(f"31 23 0:28 {root} {point} rw,relatime shared:9 - {kind} {kind} {options}")
        self.write("proc/self/mountinfo", "\n".join(lines) + "\n")

    def write(self, path: str, text: object) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_container_of_version_2(machine: Machine) -> None:
    machine.process("0::/\n", "/ /sys/fs/cgroup cgroup2 rw,nsdelegate")
    machine.write("sys/fs/cgroup/memory.max", 500 * MB)
    machine.write("sys/fs/cgroup/memory.current", 200 * MB)
    machine.write("sys/fs/cgroup/memory.stat", f"anon {150 * MB}\ninactive_file {40 * MB}\nactive_file 7")
    machine.write("sys/fs/cgroup/cpu.max", "150000 100000")
    assert cgroups.memory_limits() == [MemoryLimit(500 * MB, 340 * MB)]
    assert cgroups.core_limits() == [1.5]


@pytest.mark.parametrize("limited", ["", "batch.slice/", "batch.slice/job 1.scope/", "batch.slice/job 1.scope/step/"])
def test_any_group_around_the_process_may_have_the_limit(machine: Machine, limited: str) -> None:
    machine.process("0::/batch.slice/job 1.scope/step\n", "/ /sys/fs/cgroup cgroup2 rw")
    for group in ("batch.slice/", "batch.slice/job 1.scope/", "batch.slice/job 1.scope/step/"):
        machine.write(f"sys/fs/cgroup/{group}memory.max", "max")
        machine.write(f"sys/fs/cgroup/{group}memory.current", 10 * MB)
    machine.write(f"sys/fs/cgroup/{limited}memory.max", 64 * MB)
    machine.write(f"sys/fs/cgroup/{limited}memory.current", 24 * MB)
    assert cgroups.memory_limits() == [MemoryLimit(64 * MB, 40 * MB)]


def test_the_tightest_of_nested_limits_counts(machine: Machine) -> None:
    """A wide limit outside that others use up is tighter than a narrow one inside."""
    machine.process("0::/outer/inner\n", "/ /sys/fs/cgroup cgroup2 rw")
    for group, limit, used in (("outer", 300, 290), ("outer/inner", 200, 50)):
        machine.write(f"sys/fs/cgroup/{group}/memory.max", limit * MB)
        machine.write(f"sys/fs/cgroup/{group}/memory.current", used * MB)
    assert system.memory() == system.Memory(200 * MB, 10 * MB)
    assert system.free_memory() == 10 * MB


def test_throttled_memory_is_no_memory(machine: Machine) -> None:
    machine.process("0::/job\n", "/ /sys/fs/cgroup cgroup2 rw")
    machine.write("sys/fs/cgroup/job/memory.max", "max")
    machine.write("sys/fs/cgroup/job/memory.high", 100 * MB)
    machine.write("sys/fs/cgroup/job/memory.current", 130 * MB)
    assert cgroups.memory_limits() == [MemoryLimit(100 * MB, 0)]


@pytest.mark.parametrize("root", ["/", "/docker/3f9a"])
def test_version_1_with_the_hosts_view_or_the_containers(machine: Machine, root: str) -> None:
    machine.process(
        "5:cpu,cpuacct:/docker/3f9a\n4:memory:/docker/3f9a\n1:name=systemd:/x\n0::/\n",
        f"{root} /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct\n{root} /sys/fs/cgroup/memory cgroup rw,memory\n"
        "/ /sys/fs/cgroup/systemd cgroup rw,name=systemd\n/ /sys/fs/cgroup/unified cgroup2 rw",
    )
    inner = "docker/3f9a/" if root == "/" else ""
    memory, cpu = f"sys/fs/cgroup/memory/{inner}", f"sys/fs/cgroup/cpu,cpuacct/{inner}"
    if inner:
        machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", NONE_V1)
    machine.write(f"{memory}memory.limit_in_bytes", 256 * MB)
    machine.write(f"{memory}memory.usage_in_bytes", 100 * MB)
    machine.write(f"{memory}memory.stat", f"inactive_file 1\ntotal_inactive_file {30 * MB}")
    machine.write(f"{cpu}cpu.cfs_quota_us", 50000)
    machine.write(f"{cpu}cpu.cfs_period_us", 100000)
    assert cgroups.memory_limits() == [MemoryLimit(256 * MB, 186 * MB)]
    assert cgroups.core_limits() == [0.5]
    assert system.cores() == 1


def test_groups_seen_from_elsewhere_count_from_the_top(machine: Machine) -> None:
    machine.process("4:memory:/other/place\n", "/docker/3f9a /sys/fs/cgroup/memory cgroup rw,memory")
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", 256 * MB)
    assert cgroups.memory_limits() == [MemoryLimit(256 * MB, 256 * MB)]
    machine.process("0::/../../other\n", "/ /sys/fs/cgroup cgroup2 rw")
    machine.write("sys/fs/cgroup/memory.max", 128 * MB)
    assert cgroups.memory_limits() == [MemoryLimit(128 * MB, 128 * MB)]


def test_where_nothing_limits_the_machine_does(machine: Machine) -> None:
    assert cgroups.memory_limits() == cgroups.core_limits() == []  # no /proc at all, as outside Linux
    machine.process("4:memory:/\n0::/\n", "/ /sys/fs/cgroup/memory cgroup rw,memory\n/ /sys/fs/cgroup/u cgroup2 rw")
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", NONE_V1)
    machine.write("sys/fs/cgroup/u/cpu.max", "max 100000")
    assert cgroups.memory_limits() == cgroups.core_limits() == []
    found = system.memory()
    assert 0 < found.free <= found.total


@pytest.mark.parametrize("text", ["", "garbage", "0::", "4:memory", "-1:memory:/", "0::/\n\n"])
def test_strange_files_limit_nothing(machine: Machine, text: str) -> None:
    machine.process(text, "/ /sys/fs/cgroup cgroup2 rw")
    machine.write("sys/fs/cgroup/memory.max", "much")
    machine.write("sys/fs/cgroup/cpu.max", "0 0")
    assert cgroups.memory_limits() == cgroups.core_limits() == []
