"""What the cgroups of a process allow it of memory and cores, as both versions of them tell it."""

import os

import pytest

from vectorfleet_shardnode.limits import cgroup


def make_cgroup(root, path, **files):
    """Make a cgroup's files."""
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def test_a_cgroup_of_version_2_is_found_with_its_tightest_limit(tmp_path):
    """The limit may be set above; files' pages are not counted."""
    (tmp_path / "self").write_text("0::/pod/container\n")
    stat = "anon 100\nfile 9000\nkernel_stack 3\nshmem 20\ninactive_file 8000\nslab_reclaimable 70\n"
    make_cgroup(tmp_path, "pod", memory__max="500\n", memory__stat=stat)
    make_cgroup(tmp_path, "pod/container", memory__max="max\n", memory__stat="anon 1\n")
    found = cgroup.find(tmp_path / "self", tmp_path)
    assert (found.limit, found.used()) == (500, 123)


def test_a_cgroup_of_version_1_is_found_though_its_path_is_the_hosts(tmp_path):
    """In a container the mount is the container's own cgroup, whatever the path says."""
    (tmp_path / "self").write_text("5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n")
    stat = "cache 5000\nrss 1\ntotal_rss 100\ntotal_shmem 20\ntotal_cache 6000\n"
    make_cgroup(tmp_path, "memory", memory__limit_in_bytes="500\n", memory__stat=stat)
    found = cgroup.find(tmp_path / "self", tmp_path)
    assert (found.limit, found.used()) == (500, 120)


@pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n"])
def test_no_limit_is_no_cgroup(tmp_path, limit):
    """Both versions have their word for it."""
    (tmp_path / "self").write_text("4:memory:/\n0::/\n")
    make_cgroup(tmp_path, ".", memory__max=limit)
    make_cgroup(tmp_path, "memory", memory__limit_in_bytes=limit)
    assert cgroup.find(tmp_path / "self", tmp_path) is None
    assert cgroup.find(tmp_path / "missing", tmp_path) is None


@pytest.fixture
def four_cores(monkeypatch):
    """Let this process run on four cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 4),
        ("250000 100000", 3),
        ("100000 100000", 1),
        ("10000 100000", 1),
        ("900000 100000", 4),
    ],
)
def test_a_quota_of_version_2_bounds_the_cores(tmp_path, quota, cores):
    """What is begun of a core counts, and there is one at least."""
    (tmp_path / "self").write_text("0::/pod/container\n")
    make_cgroup(tmp_path, "pod/container", cpu__max=f"{quota}\n")
    assert cgroup.cores(tmp_path / "self", tmp_path) == cores


@pytest.mark.usefixtures("four_cores")
def test_the_tightest_quota_counts(tmp_path):
    """A pod's may be below that of its container."""
    (tmp_path / "self").write_text("0::/pod/container\n")
    make_cgroup(tmp_path, "pod", cpu__max="200000 100000\n")
    make_cgroup(tmp_path, "pod/container", cpu__max="300000 100000\n")
    assert cgroup.cores(tmp_path / "self", tmp_path) == 2


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("quota", "cores"), [("-1", 4), ("150000", 2)])
def test_a_quota_of_version_1_bounds_the_cores(tmp_path, quota, cores):
    """-1 is none; the controller may be mounted together with another one."""
    (tmp_path / "self").write_text("5:cpu,cpuacct:/docker/ab\n0::/\n")
    make_cgroup(tmp_path, "cpu", cpu__cfs_quota_us=f"{quota}\n", cpu__cfs_period_us="100000\n")
    assert cgroup.cores(tmp_path / "self", tmp_path) == cores


@pytest.mark.usefixtures("four_cores")
def test_without_cgroups_all_cores_count(tmp_path):
    """And a file that can't be understood is none."""
    assert cgroup.cores(tmp_path / "missing", tmp_path) == 4
    (tmp_path / "self").write_text("0::/\n")
    make_cgroup(tmp_path, ".", cpu__max="")
    assert cgroup.cores(tmp_path / "self", tmp_path) == 4
