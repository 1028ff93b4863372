"""Names before DNS: a file like /etc/hosts."""

import pytest

from vectorfleet_runtime import hosts

FILE = """
127.0.0.1 localhost
127.1.0.2   products-g1-s0-0.products-shards.shop.svc  s0   # the first
fd00::7 Six.Example
127.1.0.9 s0
"""


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("s0", "127.1.0.2"),
        ("products-g1-s0-0.products-shards.shop.svc", "127.1.0.2"),
        ("six.example.", "fd00::7"),
        ("first", None),
        ("", None),
    ],
)
def test_a_hosts_file_is_read_as_etc_hosts_is(name, address):
    """The first line that has the name; comments are none, and case does not matter."""
    assert hosts.lookup(name, FILE) == address


def test_targets(tmp_path):
    """An address of the hosts file is dialled as it is; any other name is DNS's."""
    file = tmp_path / "hosts"
    assert hosts.target_of("s0:7400", file) == "dns:///s0:7400"
    file.write_text(FILE)
    assert hosts.target_of("s0:7400", file) == "ipv4:127.1.0.2:7400"
    assert hosts.target_of("six.example:7400", file) == "ipv6:[fd00::7]:7400"
    assert hosts.target_of("other:7400", file) == "dns:///other:7400"
    assert hosts.target_of("s0:7400", None) == "dns:///s0:7400"
