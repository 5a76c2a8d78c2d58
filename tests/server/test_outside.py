"""The whole server with a tunnel and a number: one command, and nothing left of it."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from processes import started

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from fakes.twilio_rest import ACCOUNT_SID, AUTH_TOKEN, FakeTwilioRest
from voice_ai import ulaw_encode
from voice_ai.errors import UsageError
from voice_ai.phone import CallPlan, place_call, tones
from voice_ai.server.outside import Wishes, open_outside
from voice_ai.server.settings import Settings

URL = "https://ten-towns-join.trycloudflare.com"
NUMBER = "+15550100002"
SCRIPT = f"""#!/bin/sh
echo "$@" > "$0.arguments"; echo $$ > "$0.pid"
echo '2026-11-01T08:00:01Z INF |  {URL}  |' >&2
while :; do sleep 0.05; done
"""


def install(tmp_path: Path, script: str = SCRIPT) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "cloudflared"
    program.write_text(script)
    program.chmod(0o755)
    return program


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def given(tmp_path: Path, **settings: Any) -> dict[str, Any]:
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    return {"PATH": path, "TWILIO_AUTH_TOKEN": AUTH_TOKEN} | settings


def refused(wishes: Wishes, **settings: Any) -> str:
    with (
        pytest.raises(UsageError) as told,
        open_outside(Settings(_env_file=None, **settings), wishes, print),
    ):
        pass
    return str(told.value)


def test_a_tunnel_opens_no_door_that_nobody_checks() -> None:
    assert "TWILIO_AUTH_TOKEN is needed, or INSECURE=1" in refused(Wishes(tunnel="auto"))


def test_the_agent_of_workers_is_not_watched() -> None:
    assert "--reload is for one process, not WORKERS=2" in refused(Wishes(reload=True), workers=2)


def test_a_taken_port_is_told_before_a_tunnel_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install(tmp_path)
    monkeypatch.setenv("PATH", str(program.parent))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused(Wishes(tunnel="auto"), port=port, insecure=True)
    assert f"port {port} on 127.0.0.1 cannot be had" in told
    assert not program.with_name("cloudflared.pid").exists()


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
async def test_one_command_from_nothing_to_a_number_and_back(
    tmp_path: Path, options: list[str]
) -> None:
    program = install(tmp_path)
    async with FakeTwilioRest() as rest, FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        number = rest.owns(NUMBER)
        settings = given(
            tmp_path,
            TWILIO_ACCOUNT_SID=ACCOUNT_SID,
            TWILIO_API_URL=rest.url,
            TWILIO_NUMBER=NUMBER,
            OUTBOUND=1,  # which needs a public URL, too
        )
        wishes = ("--tunnel", "--number", NUMBER, *options)
        async with started(tmp_path, deepgram, openai, *wishes, **settings) as server:
            await server.until("points here")
            assert f"Phone: {URL}/incoming-call by HTTP POST: paste it" in server.said
            assert number.webhook == (f"{URL}/incoming-call", "POST", "")
            assert program.with_name("cloudflared.arguments").read_text().split()[-1] == server.url
            plan = CallPlan(
                server_url=server.url,
                utterances=[ulaw_encode(tones.encode("Hello?"))],
                public_url=URL,
                auth_token=AUTH_TOKEN,
                quiet_ms=300.0,
            )
            result = await place_call(plan)
            assert result.transcript is not None
            assert result.transcript["turns"][0]["caller"] == "Hello?"
            pid = int(program.with_name("cloudflared.pid").read_text())
            server.process.send_signal(signal.SIGTERM)
            assert await server.ended() == 0
    assert number.webhook[0] == "https://old.example.com/voice"
    assert not lives(pid)


async def test_a_tunnel_that_fails_ends_the_start_with_its_words(tmp_path: Path) -> None:
    install(tmp_path, "#!/bin/sh\necho 'failed to request quick Tunnel: no network' >&2\nexit 1\n")
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai:
        async with started(
            tmp_path, deepgram, openai, "--tunnel=cloudflared", **given(tmp_path)
        ) as server:
            assert await server.ended() == 1
    assert "cloudflared ended with 1: failed to request quick Tunnel: no network" in server.said
    assert "Listening" not in server.said
