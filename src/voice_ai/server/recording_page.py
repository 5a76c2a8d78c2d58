"""A call's recording over HTTP: also one that is being written, as far as it is."""

import asyncio
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from voice_ai.server.console import PRIVATE, Console
from voice_ai.server.http import Request, Response, Routes, plain
from voice_ai.server.recording_file import HEAD_OCTETS, audio_octets, head, whole
from voice_ai.server.recordings import file_of

PATH: Final = "/api/recording"
# Octets of one answer, which is in memory as a whole, 70 minutes; of a longer call, or on a slow
# line (an answer has 10 s to be read), ranges are asked for.
MAX_OCTETS: Final = 64 << 20
# RFC 9110 section 14.1.2, one range with a beginning. Any other may be left unread (14.2).
RANGE: Final = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")


class RecordingPage:
    """The route of the recordings, for who may see the console."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console

    def add_to(self, routes: Routes) -> None:
        """Add it."""
        routes.add(PATH, while_draining=True, GET=self.recording)

    async def recording(self, request: Request) -> Response:
        """Answer the recording of `?call_sid=`: all of it, or the range of it that is asked for."""
        refusal = self._console.refuse(request)
        if refusal:
            return refusal
        wanted = parse_qs(request.query).get("call_sid", [""])[0]
        path = file_of(self._folder, wanted)
        found = RANGE.fullmatch(request.headers.get("Range"))
        answer = await asyncio.to_thread(_answer, path, found) if path else None
        return answer or plain(404, f"there is no recording of {wanted[:40]!r}")


def _answer(path: Path, wanted: re.Match[str] | None) -> Response | None:
    """Read a file, or what is wanted of it; None if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        said = audio_octets(file.read(HEAD_OCTETS))
        if said is None:
            return None
        # What is beyond the sizes may be half of a write.
        n_octets = min(said, whole(os.fstat(descriptor).st_size))
        size = HEAD_OCTETS + n_octets
        begin, end = _range(wanted, size) if wanted else (0, size)
        if begin >= end:
            return plain(416, Content_Range=f"bytes */{size}")
        if end - begin > MAX_OCTETS:
            return plain(413, f"it has {end - begin} octets, {MAX_OCTETS} go at once: ask a range")
        n_before = max(begin, HEAD_OCTETS)
        file.seek(n_before)
        body = head(n_octets)[begin:end] + file.read(max(0, end - n_before))
    fields = {**PRIVATE, "Accept-Ranges": "bytes"}
    if wanted:
        fields["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    return Response(206 if wanted else 200, body, "audio/wav", fields)


def _range(wanted: re.Match[str], size: int) -> tuple[int, int]:
    first, last = wanted.groups()
    return int(first), min(size, int(last) + 1) if last else size
