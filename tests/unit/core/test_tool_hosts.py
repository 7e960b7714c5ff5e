"""What tools may reach: hosts that are listed, at addresses that are public or listed themselves."""

import pytest

from shared.core.tool_hosts import ToolHosts, is_allowed_header, parse_host


def hosts(*entries):
    return ToolHosts(frozenset(map(parse_host, entries)))


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("api.example.com", "api.example.com", 443, True),
        ("API.Example.com", "api.example.com", 443, True),
        ("api.example.com", "api.example.com", 8443, False),
        ("api.example.com:8443", "api.example.com", 8443, True),
        ("api.example.com:8443", "api.example.com", 443, False),
        ("api.example.com", "api.example.com.", 443, False),
        ("api.example.com", "evil-api.example.com", 443, False),
        ("api.example.com", "api.example.com.evil.net", 443, False),
        ("*.example.com", "api.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "evilexample.com", 443, False),
        ("*.example.com", ".example.com", 443, False),
        ("*.example.com:8443", "api.example.com", 443, False),
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[0:0::1]:8080", "::1", 8080, True),
    ],
)
def test_a_host_is_allowed_as_it_is_listed(entry, host, port, allowed):
    assert hosts(entry).allows(host, port) is allowed


def test_nothing_is_allowed_by_default():
    assert not ToolHosts().allows("api.example.com", 443)


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.com",
        "*.*.com",
        "a.*.com",
        "*.168.1.1",
        "999.1.1.1",
        "1.2.3",
        "2130706433",
        "https://x.com",
        "x.com/a",
        "u@x.com",
        "x.com:0",
        "x.com:99999",
        "x.com:a",
        "-x.com",
        "a b.com",
        "[::1",
        "bücher.de",
        "x.com?a",
        "",
    ],
)
def test_what_is_no_host_is_no_entry(entry):
    with pytest.raises(ValueError):
        parse_host(entry)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "20.50.2.1",
        "2606:4700::1111",
        "2603:1030::1",
    ],
)
def test_a_public_address_is_reached(address):
    assert hosts("api.example.com").allows_address("api.example.com", address, 443)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a01:203",
        "2002:a01:203::1",
        "2001:0:a01:203::1",
        "2001:db8::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "no address",
        "",
    ],
)
def test_no_name_leads_inside(address):
    assert not hosts("api.example.com").allows_address("api.example.com", address, 443)


def test_an_address_that_is_listed_itself_is_reached_under_its_name_and_port():
    listed = hosts("crm.internal", "10.1.2.3")
    assert listed.allows_address("crm.internal", "10.1.2.3", 443)
    assert not listed.allows_address("crm.internal", "10.1.2.3", 8443)
    assert not listed.allows_address("crm.internal", "10.1.2.4", 443)


def test_localhost_may_be_what_it_says():
    assert hosts("localhost:80").allows_address("localhost", "127.0.0.1", 80)
    assert not hosts("localhost:80").allows_address("localhost", "10.0.0.1", 80)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Content-Type", "Accept"])
def test_headers_of_a_service_may_be_set(name):
    assert is_allowed_header(name)


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Cookie", "a b", "x:", "x\r\ny", "", "é"],
)
def test_headers_of_the_request_itself_may_not(name):
    assert not is_allowed_header(name)
