"""A recording over HTTP: whose it is, what of it is given, and to whom."""

from pathlib import Path

import pytest

from voice_ai.server.console import Console
from voice_ai.server.http import Headers, Request, Response
from voice_ai.server.recording_file import HEAD_OCTETS, head
from voice_ai.server.recording_page import RecordingPage

AUDIO = bytes(range(256)) * 10
WHOLE = head(len(AUDIO)) + AUDIO


async def ask(folder: Path, query: str, peer: str = "127.0.0.1", **headers: str) -> Response:
    fields = {"Host": "127.0.0.1:8000", **headers}
    request = Request("GET", "/api/recording", query, Headers(fields.items()), peer=peer)
    return await RecordingPage(folder, Console()).recording(request)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "recordings"
    made.mkdir()
    (made / "CA1.wav").write_bytes(WHOLE)
    (tmp_path / "CA2.wav").write_bytes(WHOLE)
    return made


@pytest.mark.parametrize(
    "query",
    ["", "call_sid=", "call_sid=CA2", "call_sid=../CA2", "call_sid=%2e%2e%2fCA2", "call_sid=CA1%00"]
    + [
        "call_sid=.",
        "call_sid=" + "C" * 300,
        "call_sid=CA1.wav",
        "CA1",
        "call_sid=recordings%2fCA1",
    ],
)
async def test_no_recording(folder: Path, query: str) -> None:
    answer = await ask(folder, query)
    assert answer.status == 404
    assert len(answer.body) < 100


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert (await ask(tmp_path / "none", "call_sid=CA1")).status == 404


async def test_who_may_not_see_the_console_hears_nothing(folder: Path) -> None:
    answer = await ask(folder, "call_sid=CA1", peer="192.0.2.1")
    assert answer.status == 403
    assert AUDIO[:20] not in answer.body


async def test_a_link_or_another_file_is_not_given(folder: Path) -> None:
    (folder / "CA3.wav").symlink_to(folder / "CA1.wav")
    (folder / "CA4.wav").write_bytes(b"secret" * 100)
    for sid in ("CA3", "CA4"):
        assert (await ask(folder, f"call_sid={sid}")).status == 404


async def test_a_recording(folder: Path) -> None:
    answer = await ask(folder, "call_sid=CA1")
    assert (answer.status, answer.content_type, answer.body) == (200, "audio/wav", WHOLE)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("n_more", [1, 7, 1000])
async def test_one_that_is_being_written_is_given_as_far_as_its_sizes_go(
    folder: Path, n_more: int
) -> None:
    (folder / "CA1.wav").write_bytes(WHOLE + bytes(n_more))
    assert (await ask(folder, "call_sid=CA1")).body == WHOLE


async def test_one_that_is_shorter_than_it_says(folder: Path) -> None:
    (folder / "CA1.wav").write_bytes(WHOLE[:-3])
    n_octets = len(AUDIO) - 4
    assert (await ask(folder, "call_sid=CA1")).body == head(n_octets) + AUDIO[:n_octets]


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 0), (0, 10), (0, HEAD_OCTETS - 1), (10, HEAD_OCTETS), (HEAD_OCTETS, HEAD_OCTETS)]
    + [(100, 1000), (len(WHOLE) - 1, len(WHOLE) - 1), (100, 10**9), (0, None), (500, None)],
)
async def test_a_range(folder: Path, first: int, last: int | None) -> None:
    wanted = f"bytes={first}-{'' if last is None else last}"
    answer = await ask(folder, "call_sid=CA1", Range=wanted)
    end = len(WHOLE) if last is None else min(last + 1, len(WHOLE))
    assert (answer.status, answer.body) == (206, WHOLE[first:end])
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(WHOLE)}"


async def test_ranges_that_add_up_to_it(folder: Path) -> None:
    got = b""
    while len(got) < len(WHOLE):
        wanted = f"bytes={len(got)}-{len(got) + 39}"
        got += (await ask(folder, "call_sid=CA1", Range=wanted)).body
    assert got == WHOLE


@pytest.mark.parametrize("wanted", [f"bytes={len(WHOLE)}-", "bytes=10-5", "bytes=999999999-"])
async def test_a_range_that_is_not_there(folder: Path, wanted: str) -> None:
    answer = await ask(folder, "call_sid=CA1", Range=wanted)
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(WHOLE)}"


@pytest.mark.parametrize("wanted", ["bytes=-5", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"])
async def test_a_range_of_another_kind_is_not_read(folder: Path, wanted: str) -> None:
    assert (await ask(folder, "call_sid=CA1", Range=wanted)).body == WHOLE


async def test_what_is_too_much_at_once_is_to_be_asked_for_in_ranges(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_ai.server.recording_page.MAX_OCTETS", 1000)
    assert (await ask(folder, "call_sid=CA1")).status == 413
    answer = await ask(folder, "call_sid=CA1", Range="bytes=0-999")
    assert (answer.status, len(answer.body)) == (206, 1000)
