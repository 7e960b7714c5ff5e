"""The table of ports: shifted, replaced, and what is in use."""

import re
import socket
from dataclasses import replace

import pytest

from emulator import ports as ports_module
from emulator.ports import LOOPBACK, Ports, free_ports
from emulator.realtime.settings import Behaviour
from emulator.stack import Stack, StackError, StackOptions
from emulator.up import ports_table


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


def test_a_part_that_is_not_asked_for_is_not_in_the_table(tmp_path):
    assert "realtime" not in ports_table(StackOptions(tmp_path, Ports()))
    assert "ws://127.0.0.1:8066" in ports_table(StackOptions(tmp_path, Ports(), realtime=Behaviour.PARROT))


async def test_a_port_of_a_part_that_is_not_asked_for_may_be_in_use(tmp_path):
    with socket.create_server((LOOPBACK, 0)) as media, socket.create_server((LOOPBACK, 0)) as realtime:
        ports = replace(free_ports(), media=media.getsockname()[1], realtime=realtime.getsockname()[1])
        for behaviour, listed in ((None, ["media"]), (Behaviour.ECHO, ["media", "realtime"])):
            stack = Stack(StackOptions(tmp_path, ports, realtime=behaviour), lambda part, line: None)
            with pytest.raises(StackError) as error:
                await stack.start()
            assert re.findall(r"\((\w+)\)", str(error.value)) == listed


def test_free_ports_differ_and_are_free():
    ports = free_ports()
    assert len({port for _, port in ports.items()}) == len(ports.items())
    assert ports.in_use() == []


def test_no_free_ports_is_an_error(monkeypatch):
    monkeypatch.setattr(ports_module, "is_free", lambda port: False)
    with pytest.raises(RuntimeError, match="found only 0 free ports"):
        free_ports()
