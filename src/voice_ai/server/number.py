"""A number of the account pointed at this server for as long as it takes calls, and then back.

All of it runs in a thread of its own, which outlives a cancelled loop: a second signal waits for it
(a third does not). What was there before is in a file until it is put back, for the next start to
do it after a crash; and it is only put back where our own value still stands.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from voice_ai.errors import PeerError, UsageError
from voice_ai.server.number_note import Note, NoteFile, Webhook, left_over, read, write
from voice_ai.server.settings import Settings
from voice_ai.server.twilio_rest import TIMEOUT_S, TwilioRest, open_rest
from voice_ai.server.webhook import WEBHOOK_PATH

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]
T = TypeVar("T")

# Of a number: what Twilio asks when a call comes in. An application stands above the URL.
# Source: twilio.com/docs/phone-numbers/api/incomingphonenumber-resource.
FIELDS: Final = {
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceApplicationSid": "voice_application_sid",
}
# Seconds in which a number is put back: it is looked up and then changed.
BACK_WITHIN_S: Final = 2 * TIMEOUT_S + 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """An account of Twilio's, and where its REST interface is."""

    sid: str
    token: SecretStr
    api_url: str

    def run(self, use: Callable[[TwilioRest], Awaitable[T]]) -> T:
        """Ask Twilio something; blocks until it has answered.

        Raises:
            UsageError, PeerError: as TwilioRest.
        """

        async def ask() -> T:
            async with open_rest(self.sid, self.token, self.api_url) as rest:
                return await use(rest)

        return asyncio.run(ask())


def account_of(settings: Settings) -> Account | None:
    """Return the account of the settings, if they have all of it."""
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    return Account(sid, token, settings.twilio_api_url) if sid and token else None


class PointedNumber:
    """A number that is pointed here by `ready` and put back by `leave`; neither waits.

    Args:
        account: whose it is.
        number: as E.164 writes it.
        url: our webhook.
        folder: where the former values are kept.
        tell: told each step, from the thread.

    Raises:
        UsageError: the account has no such number, or its calls go to a SIP trunk.
        PeerError: Twilio cannot be asked.
    """

    def __init__(self, account: Account, number: str, url: str, folder: Path, tell: Tell) -> None:
        self._account = account
        self._number = number
        self._ours = {"VoiceUrl": url, "VoiceMethod": "POST", "VoiceApplicationSid": ""}
        self._folder = folder
        self._tell = tell
        self._file: NoteFile | None = None
        account.run(self._look)  # what cannot work is told before anything is loaded
        # `put` may be called by a signal's handler, whatever it has interrupted.
        self._steps: queue.SimpleQueue[Literal["point", "put back"]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="number", daemon=True)
        self._thread.start()

    def ready(self) -> None:
        """Have the number pointed here."""
        self._steps.put("point")

    def leave(self) -> None:
        """Have it put back."""
        self._steps.put("put back")

    def finish(self) -> None:
        """Have it put back, and wait for that."""
        self.leave()
        self._thread.join(2 * BACK_WITHIN_S)

    def _run(self) -> None:
        while self._steps.get() == "point":
            try:
                self._tell(f"Number: {self._account.run(self._point)}")
            except (UsageError, PeerError) as error:
                self._tell(f"Warning: {self._number} could not be pointed here: {error}")
        if self._file:
            self._tell(f"Number: {put_back(self._account, self._file)}")

    async def _look(self, rest: TwilioRest) -> dict[str, Any]:
        found = await rest.find_number(self._number)
        if found is None:
            raise UsageError(f"--number={self._number}: the account {self._account.sid} has none")
        if found.get("trunk_sid"):  # Twilio then looks at no URL
            text = f"--number={self._number} belongs to the SIP trunk {found['trunk_sid']}"
            raise UsageError(f"{text}: take it out of that first")
        return found

    async def _point(self, rest: TwilioRest) -> str:
        found = await self._look(rest)
        former = webhook_of(found)
        kept = read(self._folder, self._number)
        if kept and kept.account_sid == self._account.sid and kept.ours == former:
            former = kept.former  # of a server that crashed, or is about to go
        elif former == self._ours:
            return f"{self._number} points here already, and is left so at the end"
        note = Note(self._account.sid, self._number, former, self._ours)
        if self._file:
            self._file.close(remove=False)
        self._file = write(self._folder, note)
        await rest.update_number(str(found.get("sid")), self._ours)
        return f"{self._number} points here; before and afterwards: {shown(former)}"


def put_back(account: Account, file: NoteFile) -> str:
    """Give a number its former webhook, unless somebody has changed it meanwhile.

    Returns:
        What became of it, in words. The note is kept only if Twilio could not be asked.
    """
    if not file.is_ours:
        file.close(remove=False)
        return f"{file.note.number} is another server's now, and left to it"
    try:
        told = account.run(lambda rest: _put_back(rest, file.note))
    except (UsageError, PeerError) as error:
        file.close(remove=False)
        return (
            f"{file.note.number} could not be put back ({error}); the next start tries again, "
            f"or set it to {shown(file.note.former)} in Twilio's console"
        )
    file.close(remove=True)
    return told


async def _put_back(rest: TwilioRest, note: Note) -> str:
    found = await rest.find_number(note.number)
    if found is None:
        return f"{note.number} is not the account's any more"
    now = webhook_of(found)
    if now == note.former:
        return f"{note.number} is as it was: {shown(now)}"
    if now != note.ours:
        return f"{note.number} was changed meanwhile, and is left as it is: {shown(now)}"
    await rest.update_number(str(found.get("sid")), note.former)
    return f"{note.number} is put back: {shown(note.former)}"


def restore_left_over(settings: Settings, tell: Tell, but: str = "") -> None:
    """Put back the numbers that a server has left pointed here by its crash.

    Args:
        settings: where the notes are, and whose account it is.
        tell: told what became of each.
        but: a number that is about to be pointed here again.
    """
    account = account_of(settings)
    for file in left_over(settings.data_dir):
        note = file.note
        if note.number == but:
            file.close(remove=False)
        elif account is None or account.sid != note.account_sid:
            file.close(remove=False)
            tell(
                f"Warning: a crash has left {note.number} pointed here; it was "
                f"{shown(note.former)}. TWILIO_ACCOUNT_SID={note.account_sid} and its "
                "TWILIO_AUTH_TOKEN would have it put back"
            )
        else:
            tell(f"Number: after a crash, {put_back(account, file)}")


def webhook_of(found: dict[str, Any]) -> Webhook:
    """Return a number's webhook, of what Twilio has of the number."""
    return {field: str(found.get(name) or "") for field, name in FIELDS.items()}


def shown(webhook: Webhook) -> str:
    """Tell a webhook without what may be a secret in its URL."""
    if webhook.get("VoiceApplicationSid"):
        return f"the application {webhook['VoiceApplicationSid']}"
    parts = urlsplit(webhook.get("VoiceUrl", ""))
    if not parts.hostname:
        return "no webhook"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def number_for(settings: Settings, number: str, tell: Tell) -> PointedNumber:
    """Return a number that will be pointed at our webhook; the settings have the account.

    Raises:
        UsageError, PeerError: as PointedNumber.
    """
    account = account_of(settings)
    assert account is not None, "the wishes are checked for it"
    url = f"{settings.public_url}{WEBHOOK_PATH}"
    return PointedNumber(account, number, url, settings.data_dir, tell)
