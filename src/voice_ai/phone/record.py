"""The server's own record of a call: both sides' words and where each turn's time went."""

import asyncio
from typing import Any

import httpx

# A server may still be writing its record when the stream has closed: asked again for two seconds.
TRIES = 20
PAUSE_S = 0.1
# What it says is in its memory.
TIMEOUT_S = 5.0


async def fetch_record(
    http: httpx.AsyncClient, server_url: str, call_sid: str
) -> tuple[dict[str, Any] | None, str]:
    """Ask the server's `/api/calls?call_sid=`; return its record, or None and why there is none.

    A record whose `ended` is not true yet is asked for again, and taken as it is in the end.
    """
    url = f"{server_url.rstrip('/')}/api/calls?call_sid={call_sid}"
    record, missing = None, ""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_S)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await http.get(url)
        except (httpx.HTTPError, TimeoutError) as error:
            return record, f"no answer from {url}: {error or type(error).__name__}"
        record, missing = _read(answer)
        if record is not None and record.get("ended"):
            break
        if record is None and answer.status_code != httpx.codes.NOT_FOUND:
            break
    return record, missing


def _read(answer: httpx.Response) -> tuple[dict[str, Any] | None, str]:
    if answer.status_code != httpx.codes.OK:
        return None, f"{answer.url} answered {answer.status_code} {answer.reason_phrase}"
    try:
        record = answer.json()
    except ValueError:
        return None, f"{answer.url} answered no JSON"
    turns = record.get("turns") if isinstance(record, dict) else None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return None, f"{answer.url} answered JSON without turns"
    return record, ""
