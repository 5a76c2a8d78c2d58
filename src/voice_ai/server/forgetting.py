"""Deleting a call over HTTP, from memory and from disk: for who may see the console."""

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from voice_ai.server.archive import Archive
from voice_ai.server.calls import Calls
from voice_ai.server.console import Console
from voice_ai.server.http import Request, Response, plain
from voice_ai.server.recordings import file_of
from voice_ai.server.siblings import Siblings

logger = logging.getLogger(__name__)

MAX_QUOTED_CHARS: Final = 40


class Forgetting:
    """Answers `DELETE /api/calls?call_sid=SID`.

    Args:
        console: says who may.
        calls: this process's memory; `siblings` have theirs.
        archive: the database, if there is one.
        recordings: their folder.
    """

    def __init__(
        self,
        console: Console,
        calls: Calls,
        siblings: Siblings,
        archive: Archive | None,
        recordings: Path,
    ) -> None:
        self._console = console
        self._calls = calls
        self._siblings = siblings
        self._archive = archive
        self._recordings = recordings

    async def forget(self, request: Request) -> Response:
        """Answer 204; 404 if no such call is kept, 409 while it is under way."""
        refusal = self._console.refuse_browser(request)
        if refusal:
            return refusal
        call_sid = parse_qs(request.query).get("call_sid", [""])[0]
        quoted = repr(call_sid[:MAX_QUOTED_CHARS])
        if await self._is_under_way(call_sid):
            return plain(409, f"the call {quoted} is under way")
        try:
            is_gone = await self._delete(call_sid)
        except (sqlite3.Error, OSError) as error:
            logger.warning("a kept call could not be deleted: %s", error)
            return plain(503, "the call cannot be deleted now", Retry_After="5")
        return Response(204) if is_gone else plain(404, f"no call {quoted} is kept")

    async def _is_under_way(self, call_sid: str) -> bool:
        here = self._calls.find(call_sid)
        if here is not None and not here.ended:
            return True
        there = await self._siblings.ask(calls=call_sid)
        return any(not shown["ended"] for theirs in there for shown in theirs or [])

    async def _delete(self, call_sid: str) -> bool:
        path = file_of(self._recordings, call_sid)
        gone = [
            self._calls.forget(call_sid),
            *await self._siblings.ask(forget=call_sid),
            self._archive is not None and await self._archive.forget(call_sid),
            path is not None and await asyncio.to_thread(_unlink, path),
        ]
        return any(gone)


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
