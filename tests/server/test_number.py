"""A number pointed at this server and put back, on a fake of Twilio's REST interface."""

import asyncio
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from processes import Server, started
from pydantic import SecretStr

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from fakes.twilio_rest import ACCOUNT_SID, AUTH_TOKEN, FakeTwilioRest, Number
from voice_ai.errors import PeerError, UsageError
from voice_ai.server import number_note
from voice_ai.server.number import Account, PointedNumber, restore_left_over, shown
from voice_ai.server.settings import Settings

NUMBER = "+15550100002"
URL = "https://phone.example.com/incoming-call"
OURS = (URL, "POST", "")
OLD = ("https://old.example.com/voice", "GET", "")


class Pointing:
    """A pointed number of the test's, and what it has told."""

    def __init__(self, fake: FakeTwilioRest, folder: Path) -> None:
        self.said: list[str] = []
        self.account = Account(ACCOUNT_SID, SecretStr(AUTH_TOKEN), fake.url)
        self.folder = folder
        self.pointed: PointedNumber

    async def open(self, number: str = NUMBER) -> "Pointing":
        it = (self.account, number, URL, self.folder, self.said.append)
        self.pointed = await asyncio.to_thread(PointedNumber, *it)
        return self

    async def point(self) -> "Pointing":
        n_said = len(self.said)
        self.pointed.ready()
        async with asyncio.timeout(10):
            while len(self.said) == n_said:
                await asyncio.sleep(0.01)
        return self

    async def finish(self) -> str:
        await asyncio.to_thread(self.pointed.finish)
        return self.said[-1] if self.said else ""

    def crash(self) -> None:
        """Let go of the note as the kernel does for a process that is killed."""
        file = self.pointed._file
        assert file is not None
        file.close(remove=False)
        self.pointed._file = None


def notes(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("number-*")) if folder.exists() else []


async def restore(fake: FakeTwilioRest, folder: Path, but: str = "", **fields: Any) -> list[str]:
    said: list[str] = []
    given = {"twilio_account_sid": ACCOUNT_SID, "twilio_auth_token": AUTH_TOKEN} | fields
    settings = Settings(_env_file=None, data_dir=folder, twilio_api_url=fake.url, **given)
    await asyncio.to_thread(restore_left_over, settings, said.append, but)
    return said


async def test_a_number_that_the_account_has_not(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        fake.owns(NUMBER + "3")
        with pytest.raises(UsageError, match=r"--number=\+15550100002: the account AC5+ has none"):
            await Pointing(fake, tmp_path).open()


async def test_a_number_of_a_trunk_is_not_taken_from_it(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        fake.owns(NUMBER, trunk_sid="TK1")
        with pytest.raises(UsageError, match="belongs to the SIP trunk TK1"):
            await Pointing(fake, tmp_path).open()


async def test_twilio_has_trouble_at_the_start(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        fake.failures.append((503, 20500, "soon"))
        with pytest.raises(PeerError, match="503"):
            await Pointing(fake, tmp_path).open()


async def test_one_that_was_never_ready_changes_nothing(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        pointing = await Pointing(fake, tmp_path).open()
        assert await pointing.finish() == ""
        assert number.webhook == OLD
        assert notes(tmp_path) == []


@pytest.mark.parametrize(
    "former",
    [
        {},
        {"voice_url": "", "voice_method": "POST"},
        {"voice_url": None, "voice_application_sid": None},
        {"voice_application_sid": "AP1"},
        {"voice_url": "https://me:secret@old.example.com/voice?key=secret"},
    ],
)
async def test_it_is_pointed_here_and_put_back(tmp_path: Path, former: dict[str, Any]) -> None:
    folder = tmp_path / "data"
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER, **former)
        before = number.webhook
        pointing = await (await Pointing(fake, folder).open()).point()
        assert number.webhook == OURS
        [note] = notes(folder)
        assert stat.S_IMODE((folder / note).stat().st_mode) == 0o600
        assert "is put back" in await pointing.finish()
        assert number.webhook == before
        assert notes(folder) == []
    assert "secret" not in " ".join(pointing.said)


async def test_one_that_points_here_already_is_left_so(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER, voice_url=URL, voice_method="POST")
        pointing = await (await Pointing(fake, tmp_path).open()).point()
        assert "points here already" in await pointing.finish()
        assert number.webhook == OURS
        assert all(fields.get("VoiceUrl") is None for _, fields in fake.requests)


@pytest.mark.parametrize(
    "change",
    [
        {"voice_url": "https://new.example.com/"},
        {"voice_method": "GET"},
        {"voice_application_sid": "AP2"},
    ],
)
async def test_what_somebody_has_changed_meanwhile_stays(
    tmp_path: Path, change: dict[str, str]
) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        pointing = await (await Pointing(fake, tmp_path).open()).point()
        for name, value in change.items():
            setattr(number, name, value)
        changed = number.webhook
        assert "was changed meanwhile, and is left as it is" in await pointing.finish()
        assert number.webhook == changed
        assert notes(tmp_path) == []


async def test_a_number_that_was_given_away_meanwhile(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        fake.owns(NUMBER)
        pointing = await (await Pointing(fake, tmp_path).open()).point()
        fake.numbers.clear()
        assert "not the account's any more" in await pointing.finish()
        assert notes(tmp_path) == []


async def test_what_twilio_refuses_is_told_and_calls_go_on(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        pointing = await Pointing(fake, tmp_path).open()
        fake.failures.append((400, 20001, "not now"))
        await pointing.point()
        assert "could not be pointed here: Twilio answered 400" in pointing.said[-1]
        number.sid = "what is no sid"  # what was there is noted by then
        await pointing.point()
        assert "Twilio gave no sid" in pointing.said[-1]
        assert "is as it was" in await pointing.finish()
        assert number.webhook == OLD
        assert notes(tmp_path) == []


async def test_if_twilio_cannot_be_asked_at_the_end_the_next_start_does_it(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        pointing = await (await Pointing(fake, tmp_path).open()).point()
        fake.failures.append((503, 20500, "soon"))
        assert "the next start tries again" in await pointing.finish()
        assert number.webhook == OURS
        [said] = await restore(fake, tmp_path)
        assert "is put back: https://old.example.com/voice" in said
        assert number.webhook == OLD
        assert await restore(fake, tmp_path) == []


async def test_what_lives_is_not_left_over(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        pointing = await (await Pointing(fake, tmp_path).open()).point()
        assert await restore(fake, tmp_path) == []
        assert number.webhook == OURS
        await pointing.finish()


async def test_what_is_left_over_and_was_changed_stays(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        (await (await Pointing(fake, tmp_path).open()).point()).crash()
        number.voice_url = "https://new.example.com/"
        [said] = await restore(fake, tmp_path)
        assert "was changed meanwhile" in said
        assert number.voice_url == "https://new.example.com/"
        assert notes(tmp_path) == []


@pytest.mark.parametrize("sid", [None, "AC" + "6" * 32])
async def test_what_is_left_over_of_another_account_is_told(tmp_path: Path, sid: str) -> None:
    async with FakeTwilioRest() as fake:
        fake.owns(NUMBER)
        (await (await Pointing(fake, tmp_path).open()).point()).crash()
        for _ in range(2):
            [said] = await restore(fake, tmp_path, twilio_account_sid=sid)
            assert f"TWILIO_ACCOUNT_SID={ACCOUNT_SID}" in said
            assert "https://old.example.com/voice" in said


async def test_a_start_after_a_crash_keeps_what_was_there_before_it(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        (await (await Pointing(fake, tmp_path).open()).point()).crash()
        assert await restore(fake, tmp_path, but=NUMBER) == []
        again = await (await Pointing(fake, tmp_path).open()).point()
        assert number.webhook == OURS
        await again.finish()
        assert number.webhook == OLD


async def test_a_server_that_takes_over_is_the_one_that_puts_back(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        first = await (await Pointing(fake, tmp_path).open()).point()
        second = await (await Pointing(fake, tmp_path).open()).point()
        assert "is another server's now" in await first.finish()
        assert number.webhook == OURS
        await second.finish()
        assert number.webhook == OLD
        assert notes(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"number":1}', '{"account_sid":"AC1"}'])
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "number-15550100002.json").write_text(text)
    assert number_note.read(tmp_path, NUMBER) is None
    assert list(number_note.left_over(tmp_path)) == []


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    note = number_note.Note(ACCOUNT_SID, NUMBER, {}, {})
    with pytest.raises(UsageError, match="cannot keep the number's former webhook"):
        number_note.write(tmp_path / "file", note)


def test_no_webhook_is_shown_as_none() -> None:
    assert shown({}) == "no webhook"
    assert shown({"VoiceUrl": "https://a:b@c.example/d?e=f"}) == "https://c.example/d"


@asynccontextmanager
async def serving(
    tmp_path: Path, fake: FakeTwilioRest, *options: str, **settings: Any
) -> AsyncIterator[Server]:
    given = {
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_API_URL": fake.url,
        "PUBLIC_URL": URL.removesuffix("/incoming-call"),
    }
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, *options, **(given | settings)) as server,
    ):
        yield server


def pointed(number: Number) -> bool:
    return number.webhook == OURS


async def until(condition: Any, server: Server) -> None:
    async with asyncio.timeout(30):
        while not condition():
            assert server.process.returncode is None, server.said
            await asyncio.sleep(0.02)


@pytest.fixture
def hung_up() -> Iterator[None]:
    """Have what we start end by SIGHUP, though nohup may have started us."""
    kept = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, kept)


@pytest.mark.usefixtures("hung_up")
@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
async def test_the_server_points_it_here_and_puts_it_back_at_its_end(
    tmp_path: Path, options: list[str], sent: signal.Signals
) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        async with serving(tmp_path, fake, "--number", NUMBER, *options) as server:
            await server.until("points here")
            assert pointed(number)
            server.process.send_signal(sent)
            assert await server.ended() == 0
        assert number.webhook == OLD
        assert notes(tmp_path / "data") == []
        assert server.said.count("Number: ") == 2


async def test_a_second_signal_waits_for_the_number(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        async with serving(tmp_path, fake, "--number", NUMBER, DRAIN_S=60) as server:
            await server.until("points here")
            release = fake.hold()
            n_asked = len(fake.requests)
            server.process.send_signal(signal.SIGINT)
            await until(lambda: len(fake.requests) > n_asked, server)
            server.process.send_signal(signal.SIGINT)
            with pytest.raises(TimeoutError):
                await server.ended(within_s=0.5)
            assert pointed(number)
            release()
            assert await server.ended() in (0, -signal.SIGINT)
        assert number.webhook == OLD


async def test_after_sigkill_the_next_start_puts_it_back(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        number = fake.owns(NUMBER)
        async with serving(tmp_path, fake, "--number", NUMBER) as server:
            await server.until("points here")
            server.process.kill()
            await server.ended()
        assert pointed(number)
        async with serving(tmp_path, fake) as server:
            await server.until("Number: after a crash, +15550100002 is put back")
            assert number.webhook == OLD


async def test_everything_that_is_missing_is_named(tmp_path: Path) -> None:
    async with FakeTwilioRest() as fake:
        nothing = {"TWILIO_ACCOUNT_SID": None, "TWILIO_AUTH_TOKEN": None, "PUBLIC_URL": None}
        async with serving(tmp_path, fake, "--number", "110", **nothing) as server:
            assert await server.ended() == 2
        for words in (
            "--number=110 must be a number such as",
            "--number needs TWILIO_ACCOUNT_SID",
            "--number needs TWILIO_AUTH_TOKEN",
            "--number needs PUBLIC_URL, or --tunnel",
        ):
            assert words in server.said
        assert fake.requests == []
