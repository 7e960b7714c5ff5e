"""The table of ports: shifted, replaced, and what is in use."""

import socket

import pytest

from emulator import ports as ports_module
from emulator.ports import LOOPBACK, Ports, free_ports


def test_the_usual_ports_are_those_that_the_readme_names():
    assert dict(Ports().items()) == {
        "emulator": 8061,
        "key_vault": 8062,
        "functions": 7071,
        "media": 8063,
        "storage_blob": 8064,
        "storage_table": 8065,
        "realtime": 8066,
        "blob": 10000,
        "queue": 10001,
        "table": 10002,
    }


def test_an_offset_moves_every_port():
    moved = dict(Ports().shifted(100).items())
    assert moved == {name: port + 100 for name, port in Ports().items()}


def test_a_port_that_is_listened_on_is_in_use():
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        assert Ports(media=taken, table=1).in_use().count(("media", taken)) == 1


def test_free_ports_differ_and_are_free():
    ports = free_ports()
    assert len({port for _, port in ports.items()}) == len(ports.items())
    assert ports.in_use() == []


def test_no_free_ports_is_an_error(monkeypatch):
    monkeypatch.setattr(ports_module, "is_free", lambda port: False)
    with pytest.raises(RuntimeError, match="found only 0 free ports"):
        free_ports()
