import asyncio
import os
import socket
import sys

import pytest

from doctor_world import AGENT, hanging
from voice_ai.server.app import App
from voice_ai.server.doctor.port import look_at_port
from voice_ai.server.settings import Settings


def settings(port: int, **changes) -> Settings:
    return Settings(_env_file=None, port=port, **changes)


def test_a_port_that_nobody_has():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert look_at_port(settings(port)).who == "nobody"
    assert look_at_port(settings(0)).detail == "any free port"


def test_an_address_of_another_machine():
    found = look_at_port(
        settings(0, host="192.0.2.1", insecure=True).model_copy(update={"port": 1})
    )
    assert found.who == "forbidden" and found.detail


async def test_a_port_that_our_server_has():
    app = App(settings(0), AGENT)
    async with app.listen():
        port = int(app.url.rpartition(":")[2])
        found = await asyncio.to_thread(look_at_port, settings(port))
    assert (found.who, found.url) == ("ours", app.url)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_port_that_somebody_has_who_says_nothing():
    async with hanging() as port:
        found = await asyncio.to_thread(look_at_port, settings(port))
    assert found.who == "another"
    assert f"process {os.getpid()}" in found.detail and "no answer to HTTP" in found.detail
