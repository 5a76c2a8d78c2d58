"""Calls over real sockets in virtual time: what cannot be put through or goes wrong, then talk."""

import asyncio
import json

import pytest
from twilio.request_validator import RequestValidator

import clock
from fakes.voiceline import serve, tone
from voice_ai.errors import PeerError, UsageError
from voice_ai.phone import CallPlan, place_call
from voice_ai.wire import twilio

HELLO = tone(400)


async def silence(stream):
    await stream.hear_all()


async def answer(stream):
    """Greet, and answer each utterance 200 ms after its end."""
    await stream.say(500, "greeting")
    while not stream.socket.closed:
        await stream.hear_speech()
        await stream.hear(5)
        if not stream.socket.closed:
            await stream.say(600, "reply")


def call(script, *utterances, server=None, on_progress=None, **plan):
    """Place a call to a server with this script; return the result and the server."""

    async def main():
        async with serve(script, **(server or {})) as line:
            made = CallPlan(server_url=line.url, utterances=utterances, **plan)
            return await place_call(made, on_progress=on_progress), line

    return clock.run(main(), patience_s=PATIENCE_S)


PATIENCE_S = 0.001


def refused(**server):
    with pytest.raises(PeerError) as caught:
        call(silence, server=server)
    return str(caught.value)


def test_no_server():
    with pytest.raises(PeerError, match="no answer from http://127.0.0.1:1/incoming-call"):
        clock.run(place_call(CallPlan(server_url="http://127.0.0.1:1", utterances=[])))


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "http://[", "http://h:99999", "ftp://127.0.0.1"]
)
def test_no_url(url):
    with pytest.raises(UsageError, match="needed e.g. http://127.0.0.1:8000"):
        CallPlan(server_url=url, utterances=[])
    with pytest.raises(UsageError, match="the public URL is 'localhost'"):
        CallPlan(server_url="http://localhost", utterances=[], public_url="localhost")


def test_a_webhook_that_refuses():
    assert "answered 403 Forbidden; needed 200 with TwiML" in refused(webhook_status=403)


def test_a_handshake_that_refuses():
    error = refused(handshake_status=403)
    assert error.startswith("31920: ws://127.0.0.1:")
    assert error.endswith("answered the handshake with 403; needed 101")


def test_a_stream_that_is_not_there():
    error = refused(stream_url="ws://127.0.0.1:1/ws")
    assert error.startswith("31901: cannot reach ws://127.0.0.1:1/ws")


def raw_stream(answer):
    """Place a call whose stream goes to a socket that gives this answer; return the error."""

    async def take(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with serve(stream_url=f"ws://127.0.0.1:{port}/ws") as line:
                with pytest.raises(PeerError) as caught:
                    await place_call(CallPlan(server_url=line.url, utterances=[]))
        return str(caught.value)

    return clock.run(main(), patience_s=PATIENCE_S)


def test_a_stream_that_does_not_answer():
    assert raw_stream(b"").startswith("31901: no answer from ws://127.0.0.1:")


def test_a_stream_that_does_not_shake_hands():
    wrong = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    assert "did not shake hands" in raw_stream(wrong)


def test_a_stream_that_sends_elsewhere():
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: ws://example.com/\r\nContent-Length: 0\r\n\r\n"
    assert raw_stream(elsewhere).startswith("31920: ws://127.0.0.1:")


def test_a_webhook_that_does_not_answer():
    async def main():
        done = asyncio.Event()

        async def silent(reader, writer):
            await done.wait()
            writer.close()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(PeerError, match="no answer from http"):
                await place_call(CallPlan(server_url=url, utterances=[]))
            waited_s = asyncio.get_running_loop().time()
            done.set()
        return waited_s

    assert clock.run(main(), patience_s=PATIENCE_S) == pytest.approx(15, abs=1)


def test_a_server_that_stops_reading_is_left():
    async def main():
        done = asyncio.Event()

        async def deaf(stream):
            await done.wait()

        async with serve(deaf) as line:
            made = CallPlan(server_url=line.url, utterances=[], greeting_wait_ms=10**9)
            result = await place_call(made)
            done.set()
            return result

    result = clock.run(main())
    assert "the server read nothing for 10 s" in result.violations[0]
    assert result.ended_by == "server"


def test_words_instead_of_a_stream():
    twiml = "<Response><Say>All our lines are busy.</Say><Hangup/></Response>"
    result, line = call(silence, server={"twiml": twiml})
    assert result.refused == "All our lines are busy."
    assert line.streams == []


def test_the_webhook_and_the_handshake_are_signed_over_the_public_url():
    result, line = call(
        silence,
        server={"stream_url": "wss://voice.example.com/ws/twilio"},
        public_url="https://voice.example.com",
        auth_token="t0ken",
        greeting_wait_ms=100,
    )
    headers, form = line.webhooks[0]
    validator = RequestValidator("t0ken")
    assert validator.validate(
        "https://voice.example.com/incoming-call", form, headers["X-Twilio-Signature"]
    )
    handshake = line.handshakes[0]
    assert validator.validate(
        "wss://voice.example.com/ws/twilio", {}, handshake["X-Twilio-Signature"]
    )
    assert handshake["Host"] == headers["Host"] == "voice.example.com"
    assert "Sec-WebSocket-Extensions" not in handshake
    assert form["CallSid"] == result.call_sid
    assert len(result.call_sid) == len("CA") + 32
    assert set(form) == {
        "CallSid",
        "AccountSid",
        "From",
        "To",
        "CallStatus",
        "Direction",
        "ApiVersion",
    }
    assert result.violations == []


def test_without_a_token_nothing_is_signed():
    _, line = call(silence, greeting_wait_ms=0)
    assert "X-Twilio-Signature" not in line.webhooks[0][0]
    assert "X-Twilio-Signature" not in line.handshakes[0]


def test_a_stream_url_that_twilio_would_not_dial_is_noted():
    async def main():
        async with serve(silence) as line:
            line.stream_url = line.url.replace("http", "ws") + "/ws/twilio?token=1"
            plan = CallPlan(
                server_url=line.url, utterances=[], public_url=line.url, greeting_wait_ms=0
            )
            return await place_call(plan), line

    result, line = clock.run(main(), patience_s=PATIENCE_S)
    assert len(result.violations) == 2
    assert "query string" in result.violations[0]
    assert "Twilio dials wss:// only" in result.violations[1]
    assert len(line.streams) == 1


def test_frames_come_as_twilio_sends_them():
    _, line = call(silence, HELLO, greeting_wait_ms=100, reply_wait_ms=100)
    messages = [json.loads(text) for text in line.streams[0].messages]
    kinds = [message["event"] for message in messages]
    assert kinds[:2] == ["connected", "start"]
    assert set(kinds[2:-1]) == {"media"}
    assert kinds[-1] == "stop"
    assert messages[1]["start"]["customParameters"] == {"token": "t1"}
    frames = messages[2:-1]
    assert [m["sequenceNumber"] for m in messages[1:]] == [
        str(i + 1) for i in range(len(messages) - 1)
    ]
    assert [m["media"]["chunk"] for m in frames] == [str(i + 1) for i in range(len(frames))]
    assert [m["media"]["timestamp"] for m in frames] == [str(20 * i) for i in range(len(frames))]
    said = b"".join(twilio.parse_message(json.dumps(m)).payload for m in frames)
    assert said == (b"\xff" * 160 * 5 + HELLO).ljust(len(said), b"\xff")


def test_a_server_that_hangs_up_at_once_ends_the_call():
    async def gone(stream):
        pass

    result, _ = call(gone, HELLO)
    assert (result.ended_by, result.close_code) == ("server", 1000)
    assert result.greeting_ms is None
    assert result.violations == []


def test_a_server_that_hangs_up_within_the_greeting_leaves_sound_unheard():
    async def greet_and_go(stream):
        await stream.say(1000, "greeting")
        await stream.hear(20)

    result, line = call(greet_and_go, HELLO)
    assert result.ended_by == "server"
    assert 560 <= result.unplayed_ms <= 640
    assert line.streams[0].marks == []
    assert result.turns == []


def test_a_server_that_breaks_off_is_noted():
    async def break_off(stream):
        await stream.hear(5)
        await stream.socket.close(code=1011, message=b"out of order")

    result, _ = call(break_off, HELLO)
    assert result.close_code == 1011
    assert "31921: the server closed the stream with 1011 out of order" in result.violations[0]


def test_a_server_that_breaks_off_after_the_caller_hung_up_did_no_wrong():
    async def break_off(stream):
        while not isinstance(await stream.next(), twilio.Stop):
            pass
        stream.abort()

    result, _ = call(break_off, greeting_wait_ms=100)
    assert result.ended_by == "caller"
    assert result.violations == []


def test_what_twilio_would_refuse_is_noted_with_its_number():
    async def wrong(stream):
        sid = stream.start.stream_sid
        for message in (
            b"\x00",
            "not json",
            twilio.clear("MZother"),
            json.dumps({"event": "clear", "streamSid": sid, "extra": 1}),
            twilio.media(sid, b"RIFF" + bytes(200)),
        ):
            await stream.send(message)
        await stream.say(100)
        await stream.hear_all()

    result, _ = call(wrong)
    numbers = [violation.split()[2] for violation in result.violations]
    assert numbers == ["31950:", "31951:", "31951:", "31951:", "31924:"]
    assert result.greeting_ms is not None
    assert result.ended_by == "caller"


def test_more_than_ten_minutes_of_sound_are_noted():
    async def flood(stream):
        await stream.say(601_000)
        await stream.hear(5)

    result, _ = call(flood)
    assert "31931: the buffer is full, 8000 octets are lost" in result.violations[0]


def test_a_conversation():
    seen = []
    result, line = call(answer, HELLO, tone(200), on_progress=seen.append)
    assert result.violations == []
    assert [turn.number for turn in result.turns] == [1, 2]
    for turn in result.turns:
        # Five frames of silence end the speech for this server, five more pass until it answers.
        assert turn.latency_ms == pytest.approx(200, abs=20)
    assert result.greeting_ms < 20
    assert (result.ended_by, result.close_code) == ("caller", 1000)
    assert len(result.said) == len(result.heard)
    assert result.duration_ms == pytest.approx(
        500 + 700 + 400 + 200 + 600 + 700 + 200 + 200 + 1300, abs=150
    )
    assert {progress.doing for progress in seen} == {"agent speaking", "caller speaking", "waiting"}
    assert seen[-1].turn == seen[-1].n_turns == 2
    assert result.transcript == {"turns": [], "ended": True}
    heard = bytes(octet for octet in result.heard if octet != 0xFF)
    assert heard == tone(500) + tone(600) * 2
    assert result.heard[: len(tone(500))].endswith(tone(460))
    greeting, first, second = line.streams[0].marks
    assert greeting[0] == "greeting"
    assert first[1] - greeting[1] > 400 / 20
    assert second[0] == "reply"


def test_a_mark_on_an_empty_buffer_comes_back_at_once_and_clear_returns_the_others():
    async def marks(stream):
        sid = stream.start.stream_sid
        await stream.send(twilio.mark(sid, "empty"))
        await stream.say(10_000, "never heard")
        await stream.hear(10)
        await stream.clear()
        await stream.hear_all()

    result, line = call(marks, greeting_wait_ms=500)
    assert [name for name, _ in line.streams[0].marks] == ["empty", "never heard"]
    assert line.streams[0].marks[1][1] <= 12
    sounded = sum(octet != 0xFF for octet in result.heard)
    assert sounded == pytest.approx(10 * 160, abs=320)


def test_barge_in_is_heard_as_it_happened():
    async def interrupted(stream):
        await stream.say(200)
        await stream.hear_speech()
        await stream.say(10_000, "long")
        await stream.hear_speech()
        await stream.clear()
        await stream.say(200)
        await stream.hear_all()

    result, line = call(interrupted, HELLO, HELLO, barge_in_ms=1000)
    assert result.violations == []
    first, second = result.turns
    assert second.speech_start_ms - first.first_frame_ms == pytest.approx(1000, abs=40)
    assert second.latency_ms == pytest.approx(100, abs=20)
    assert [name for name, _ in line.streams[0].marks] == ["long"]


def test_a_clock_that_stood_still_catches_up_and_says_so():
    late = []

    def stall(progress):
        if not late and progress.elapsed_ms >= 300:
            late.append(progress.elapsed_ms)
            asyncio.get_running_loop().now_s += 0.2

    result, line = call(silence, greeting_wait_ms=1000, on_progress=stall)
    assert result.late_ms == pytest.approx(180, abs=5)
    assert line.streams[0].n_frames == 50


def test_a_record_that_comes_late_is_waited_for():
    turns = [{"caller": "hello", "reply": "hi", "heard": "hi", "latency_ms": {}}]

    def record(n):
        return {"turns": turns if n > 1 else [], "ended": n > 2}

    result, line = call(silence, greeting_wait_ms=0, server={"record": record})
    assert line.n_records == 3
    assert result.transcript == {"turns": turns, "ended": True}
    assert result.transcript_missing == ""


@pytest.mark.parametrize(
    ("server", "why", "asked"),
    [
        ({"record_status": 404}, "answered 404 Not Found", 20),
        ({"record_status": 401}, "answered 401 Unauthorized", 1),
        ({"record": "no json"}, "answered no JSON", 1),
        ({"record": None}, "no answer from", 1),
        ({"record": []}, "answered JSON without turns", 1),
        ({"record": {"turns": [1]}}, "answered JSON without turns", 1),
    ],
)
def test_a_record_that_cannot_be_had_is_said_so(server, why, asked):
    result, line = call(silence, greeting_wait_ms=0, server=server)
    assert result.transcript is None
    assert why in result.transcript_missing
    assert line.n_records == asked


def test_cancelling_a_call_hangs_up():
    hung_up = asyncio.Event()

    async def listen(stream):
        await stream.hear_all()
        hung_up.set()

    async def main():
        async with serve(listen) as line:
            plan = CallPlan(server_url=line.url, utterances=[])
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await place_call(plan)
            async with asyncio.timeout(5):
                await hung_up.wait()

    clock.run(main(), patience_s=PATIENCE_S)


def test_twelve_calls_at_once_do_not_mix():
    async def main():
        async with serve(answer) as line, asyncio.TaskGroup() as group:
            calls = [
                group.create_task(
                    place_call(CallPlan(server_url=line.url, utterances=[tone(100 + 20 * i)] * 2))
                )
                for i in range(12)
            ]
            for done in calls:
                await done
        return [done.result() for done in calls], line

    results, line = clock.run(main(), patience_s=PATIENCE_S)
    assert len({result.call_sid for result in results}) == 12
    for i, result in enumerate(results):
        assert result.violations == []
        assert len([octet for octet in result.said if octet != 0xFF]) == 2 * 8 * (100 + 20 * i)
    assert all(
        [name for name, _ in s.marks] == ["greeting", "reply", "reply"] for s in line.streams
    )
