"""Where services may be."""

import ipaddress

import pytest

from vectorfleet_shardnode.api import services


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
        "::169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "::ffff:100.100.100.200",
        "64:ff9b::6464:64c8",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "224.0.0.1",
    ],
)
def test_where_clouds_keep_credentials_no_service_is(address):
    """Link-local or not, in each spelling."""
    assert services.forbidden_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "fd00::1", "100.64.0.1", "64:ff9b::808:808", "8.8.8.8"]
)
def test_elsewhere_services_may_be(address):
    """On this machine, in the cluster, on the internet."""
    assert not services.forbidden_address(ipaddress.ip_address(address))
