"""Deleting a call over HTTP."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archived import archive, begin, until_kept
from voice_ai.server.console import Console
from voice_ai.server.forgetting import Forgetting
from voice_ai.server.http import Headers, Request
from voice_ai.server.siblings import Siblings


class Memory:
    """What a process remembers of its calls."""

    def __init__(self, **ended: bool) -> None:
        self.ended = ended

    def find(self, call_sid: str) -> SimpleNamespace | None:
        known = call_sid in self.ended
        return SimpleNamespace(ended=self.ended[call_sid]) if known else None

    def forget(self, call_sid: str) -> bool:
        return self.ended.pop(call_sid, None) is not None


class Others:
    """Another process, with CA8 on the line, which remembers CA9; and one that is leaving."""

    async def ask(self, **question: str) -> list[Any]:
        match question:
            case {"forget": call_sid}:
                return [call_sid == "CA9"]
            case {"calls": "CA8" | "CA9" as call_sid}:
                return [[{"ended": call_sid == "CA9"}], None]
        return [[], None]


def request(query: str = "call_sid=CA1", peer: str = "127.0.0.1", **headers: str) -> Request:
    named = {"Host": "127.0.0.1:8000"} | headers
    return Request("DELETE", "/api/calls", query, Headers(named.items()), peer=peer)


def forgetting(kept=None, folder=Path("nowhere"), siblings=None, **ended) -> Forgetting:
    return Forgetting(Console(), Memory(**ended), siblings or Siblings(), kept, folder)


@pytest.mark.parametrize("query", ["", "call_sid=", "call_sid=CA2", "call_sid=%ff", "call_sid=.."])
async def test_a_call_that_is_not_kept(tmp_path, query):
    async with archive(tmp_path) as kept:
        assert (await forgetting(kept, tmp_path).forget(request(query))).status == 404
    assert (await forgetting().forget(request(query))).status == 404


async def test_who_may_not(tmp_path):
    async with archive(tmp_path) as kept:
        begin(kept)
        await until_kept(kept, "CA1")
        forget = forgetting(kept, CA1=True).forget
        assert (await forget(request(peer="192.0.2.1"))).status == 403
        assert (await forget(request(Origin="https://evil.example"))).status == 403
        assert await kept.find("CA1")


async def test_a_call_is_deleted_once_wherever_it_is_kept(tmp_path):
    (tmp_path / "CA1.wav").write_bytes(b"RIFF")
    (tmp_path / "CA2.wav").write_bytes(b"RIFF")
    async with archive(tmp_path) as kept:
        begin(kept)
        await until_kept(kept, "CA1")
        gone = forgetting(kept, tmp_path, CA1=True)
        assert [(await gone.forget(request())).status for _ in range(2)] == [204, 404]
        assert await kept.find("CA1") is None
    assert not (tmp_path / "CA1.wav").exists() and (tmp_path / "CA2.wav").exists()


@pytest.mark.parametrize("ended", [{"CA1": True}, {}])
async def test_one_place_is_enough(tmp_path, ended):
    if not ended:
        (tmp_path / "CA1.wav").write_bytes(b"RIFF")
    assert (await forgetting(None, tmp_path, **ended).forget(request())).status == 204
    others = forgetting(siblings=Others())
    assert (await others.forget(request("call_sid=CA9"))).status == 204


async def test_a_call_that_is_under_way(tmp_path):
    (tmp_path / "CA1.wav").write_bytes(b"RIFF")
    assert (await forgetting(None, tmp_path, CA1=False).forget(request())).status == 409
    assert (tmp_path / "CA1.wav").exists()


async def test_a_call_that_is_under_way_at_another_process(tmp_path):
    (tmp_path / "CA8.wav").write_bytes(b"RIFF")
    gone = forgetting(None, tmp_path, Others())
    assert (await gone.forget(request("call_sid=CA8"))).status == 409
    assert (tmp_path / "CA8.wav").exists()


async def test_a_file_that_does_not_let_it_go(tmp_path, monkeypatch):
    async with archive(tmp_path) as kept:

        async def locked(call_sid: str) -> bool:
            raise sqlite3.OperationalError("database is locked")

        monkeypatch.setattr(kept, "forget", locked)
        assert (await forgetting(kept, CA1=True).forget(request())).status == 503
