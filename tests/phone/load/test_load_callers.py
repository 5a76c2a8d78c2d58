"""Callers over real sockets: what they send and when, what they make of what comes, what fails."""

import asyncio
import time
from binascii import b2a_base64
from itertools import islice

import pytest
import uvloop
from twilio.request_validator import RequestValidator
from websockets.utils import accept_key

from fakes.voiceline import serve
from voice_ai.codec import ulaw_encode
from voice_ai.phone import CallPlan
from voice_ai.phone.load import callers as callers_module
from voice_ai.phone.load import levels, opening
from voice_ai.phone.load.callers import Callers
from voice_ai.phone.load.ear import Ear
from voice_ai.wire import twilio

LIMIT_S = 15
TOKEN = "0123456789abcdef0123456789abcdef"


def frames(source, number, n):
    symbols = islice(levels.segment(source, number), n)
    pcm = (levels.sample(symbol).to_bytes(2, "little", signed=True) for symbol in symbols)
    return [ulaw_encode(one) * 160 for one in pcm]


async def say(stream, *payloads):
    for payload in payloads:
        await stream.send(twilio.media(stream.start.stream_sid, payload))


async def silence(stream):
    await stream.hear_all()


class Result:
    def __init__(self, callers, counts, line, late):
        self.faults = dict(callers.faults)
        self.n_up = callers.n_up
        self.late = late
        self.counts = counts
        self.line = line


def called(script, *, n=1, n_frames=5, until=None, plan=None, **server):
    """Call a server with this script until enough was said, or `until` is true of the callers."""

    async def main():
        async with serve(script, **server) as line:
            made = CallPlan(server_url=line.url, utterances=(), **(plan or {}))
            callers = Callers(made, n)
            n_streams = []
            async with asyncio.timeout(LIMIT_S):
                async with callers.calling(n_streams.append):
                    streams = [one for one in callers._streams if one is not None]
                    while not until(callers) if until else _too_few(streams, n_frames):
                        await asyncio.sleep(0.01)
                    late = callers.late
                    counts = callers.count_anew()
            assert n_streams == list(range(1, n + 1))
            return Result(callers, counts, line, late)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _too_few(streams, n_frames):
    return any(not one.ended and one.counts.n_sent < n_frames for one in streams)


def ended(callers):
    return all(one is None or one.ended for one in callers._streams)


@pytest.mark.parametrize(
    ("server", "fault"),
    [
        ({"webhook_status": 403}, "answered 403 Forbidden; needed 200 with TwiML"),
        ({"twiml": "<Response><Say>All lines are busy.</Say></Response>"}, "refused: All lines"),
        ({"twiml": "<html>"}, "is not TwiML"),
        ({"handshake_status": 403}, "did not shake hands"),
        ({"stream_url": "ws://127.0.0.1:1/ws"}, "31901: cannot reach ws://127.0.0.1:1/ws"),
    ],
)
def test_a_call_that_is_not_put_through(server, fault):
    result = called(silence, n=2, **server)
    assert list(result.faults.values()) == [2]
    assert fault in next(iter(result.faults))
    assert result.counts == [None, None]


def test_no_server():
    async def main():
        callers = Callers(CallPlan(server_url="http://127.0.0.1:1", utterances=()), 1)
        async with callers.calling(lambda n: None):
            return dict(callers.faults)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert "no answer from http://127.0.0.1:1" in next(iter(runner.run(main())))


async def listening(*, closing):
    """A server that shakes no hands, and after a handshake never closes."""

    async def connected(reader, writer):
        if closing:
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(line for line in head.split(b"\r\n") if b"Sec-WebSocket-Key" in line)
            accept = accept_key(key.partition(b": ")[2].decode()).encode()
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
        while await reader.read(65536):
            pass
        writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", 0)


@pytest.mark.parametrize("closing", [False, True])
def test_a_server_that_never_answers_is_left(monkeypatch, closing):
    monkeypatch.setattr(opening, "OPEN_TIMEOUT_S", 0.3)
    monkeypatch.setattr(callers_module, "CLOSE_TIMEOUT_S", 0.3)

    async def main():
        async with await listening(closing=closing) as mute:
            port = mute.sockets[0].getsockname()[1]
            async with serve(silence, stream_url=f"ws://127.0.0.1:{port}/ws") as line:
                callers = Callers(CallPlan(server_url=line.url, utterances=()), 1)
                began = time.monotonic()
                async with callers.calling(lambda n: None):
                    pass
                assert time.monotonic() - began < LIMIT_S
                return dict(callers.faults)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        faults = runner.run(main())
    wanted = "the server did not close in 0.3 s" if closing else "31901: no answer"
    assert wanted in next(iter(faults))


def test_what_is_sent_is_what_twilio_sends():
    result = called(silence, n_frames=40)
    assert result.faults == {}
    stream = result.line.streams[0]
    parsed = [twilio.parse_message(message) for message in stream.messages]
    assert isinstance(parsed[0], twilio.Connected)
    assert isinstance(parsed[1], twilio.Start)
    assert parsed[1].parameters == {"token": "t1"}
    assert isinstance(parsed[-1], twilio.Stop)
    media = parsed[2:-1]
    assert len(media) >= 40
    assert [one.chunk for one in media] == list(range(1, len(media) + 1))
    assert [one.timestamp_ms for one in media] == [20 * n for n in range(len(media))]
    ear = Ear()
    for one in media:
        ear.hear(one.payload, 0.0)
    assert [(one.source, one.number) for one in ear.segments] == [(0, 0)]
    assert ear.heard.n_lost == ear.heard.n_out_of_order == 0


def test_webhook_and_handshake_are_signed():
    plan = {"public_url": "https://load.example", "auth_token": TOKEN}
    result = called(silence, plan=plan, stream_url="wss://load.example/ws/twilio")
    assert result.faults == {}
    headers, form = result.line.webhooks[0]
    validator = RequestValidator(TOKEN)
    signed = headers["X-Twilio-Signature"]
    assert validator.validate("https://load.example/incoming-call", form, signed)
    headers = result.line.handshakes[0]
    assert ("x-twilio-signature", headers["x-twilio-signature"]) in list(headers.items())
    assert headers["Host"] == "load.example"
    assert validator.validate("wss://load.example/ws/twilio", {}, headers["x-twilio-signature"])


def test_frames_keep_their_pace_and_calls_share_the_20_ms():
    came = {}

    async def clocked(stream):
        times = came.setdefault(stream.start.stream_sid, [])
        while isinstance(await stream.next(), twilio.Media):
            times.append(time.monotonic())

    result = called(clocked, n=4, n_frames=100)
    assert result.faults == {}
    assert result.late.spread().n >= 400
    for counts in result.counts:
        # By the schedule, to the lateness of one frame at each end.
        span = counts.sent_at[-1] - counts.sent_at[0]
        slack = 0.001 + counts.late_ms / 1000
        assert span == pytest.approx(0.02 * (len(counts.sent_at) - 1), abs=slack)
        assert counts.n_sent == len(counts.sent_at)
    phases = sorted(min(counts.sent_at) % 0.02 for counts in result.counts)
    assert len(came) == 4
    assert phases[-1] - phases[0] > 0.005


def test_marks_come_back_when_they_would_have_been_heard():
    async def script(stream):
        await stream.send(twilio.mark(stream.start.stream_sid, "empty"))
        await stream.hear(10)
        began = stream.n_frames
        await say(stream, b"".join(frames(1, 0, 10)))
        await stream.send(twilio.mark(stream.start.stream_sid, "heard"))
        await say(stream, b"".join(frames(1, 1, 100)))
        await stream.send(twilio.mark(stream.start.stream_sid, "cleared"))
        await stream.hear(20)
        await stream.clear()
        await stream.hear(5)
        stream.began = began
        stream.done = True
        await stream.hear_all()

    result = called(
        script, until=lambda callers: callers._streams[0].counts.clears and after(callers, 40)
    )
    stream = result.line.streams[0]
    marks = dict(stream.marks)
    assert list(marks) == ["empty", "heard", "cleared"]
    assert marks["empty"] <= 2
    assert marks["heard"] - stream.began in range(10, 14)
    assert marks["cleared"] - stream.began in range(20, 24)
    assert result.counts[0].n_marks == 3
    assert [s.number for s in result.counts[0].segments] == [0, 1]
    assert len(result.counts[0].clears) == 1
    assert result.faults == {}


def after(callers, n_frames):
    return callers._streams[0].counts.n_sent >= n_frames


def talked(*payloads, mark=False):
    """Have the server say these; return what the caller counted of it."""

    async def script(stream):
        for payload in payloads:
            if payload == "clear":
                await stream.clear()
            else:
                await say(stream, payload)
        await stream.send(twilio.mark(stream.start.stream_sid, "last"))
        await stream.hear_all()

    result = called(script, until=lambda callers: callers._streams[0].counts.n_marks)
    assert result.faults == {}
    return result.counts[0]


def test_our_voice_is_whole():
    counts = talked(*frames(5, 6, 50))
    assert (counts.heard.n_frames, counts.heard.n_lost, counts.heard.n_out_of_order) == (50, 0, 0)
    assert [(one.source, one.number) for one in counts.segments] == [(5, 6)]
    assert counts.n_late == 0


def test_lost_and_misplaced_frames_are_counted():
    sent = frames(5, 6, 50)
    counts = talked(*sent[:20], *sent[22:30], sent[31], sent[30], *sent[32:])
    assert (counts.heard.n_lost, counts.heard.n_out_of_order) == (3, 1)


def test_frames_of_a_dead_turn_are_counted():
    sent = frames(5, 6, 50)
    counts = talked(*sent[:20], "clear", *sent[20:23], *frames(5, 7, 20))
    assert counts.heard.n_dead == 3
    assert [one.number for one in counts.segments] == [6, 7]


def test_a_frame_that_comes_when_all_was_played_is_late():
    async def script(stream):
        sent = frames(5, 6, 50)
        await say(stream, b"".join(sent[:10]))
        await stream.hear(20)
        await say(stream, b"".join(sent[10:]))
        await stream.hear(60)
        await say(stream, *frames(5, 7, 10))
        await stream.hear_all()

    result = called(script, until=lambda callers: len(callers._streams[0]._ear.segments) == 2)
    assert result.counts[0].n_late == 1
    assert result.counts[0].heard.n_lost == 0


def test_json_as_others_write_it_is_read_as_well():
    async def script(stream):
        for payload in frames(5, 6, 20):
            audio = b2a_base64(payload, newline=False).decode()
            await stream.send(
                f'{{"media": {{"payload": "{audio}"}}, "event": "media",'
                f' "streamSid": "{stream.start.stream_sid}"}}'
            )
        await stream.send(twilio.mark(stream.start.stream_sid, "last"))
        await stream.hear_all()

    result = called(script, until=lambda callers: callers._streams[0].counts.n_marks)
    counts = result.counts[0]
    assert (counts.heard.n_frames, counts.violations) == (20, [])


@pytest.mark.parametrize(
    ("message", "violation"),
    [
        (b"\x00\x01", "31950"),
        ("no JSON", "31951"),
        ('{"event":"dance","streamSid":"x"}', "31951"),
        (twilio.media("MZ0", b"\xff"), "31951"),
        ("empty", "31924"),
        ("no base64", "31924"),
    ],
)
def test_what_twilio_would_refuse_is_a_violation(message, violation):
    async def script(stream):
        sid = stream.start.stream_sid
        bad = twilio.media(sid, b"abc").replace("YWJj", "" if message == "empty" else "%%%")
        await stream.send(bad if message in ("empty", "no base64") else message)
        await stream.send(twilio.mark(sid, "last"))
        await stream.hear_all()

    result = called(script, until=lambda callers: callers._streams[0].counts.n_marks)
    assert [one[:5] for one in result.counts[0].violations] == [violation]


@pytest.mark.parametrize(
    ("code", "fault"),
    [(1011, "31921: the server closed the stream with 1011 out of order"), (None, "broke off")],
)
def test_a_server_that_leaves_is_a_fault_and_the_others_go_on(code, fault):
    async def script(stream):
        await stream.hear(3)
        if len(stream_of) == 0:
            stream_of.append(stream)
            if code is None:
                stream.abort()
            else:
                await stream.socket.close(code=code, message=b"out of order")
        await stream.hear_all()

    stream_of = []

    def until(callers):
        ups = [one for one in callers._streams if not one.ended]
        return len(ups) == 1 and ups[0].counts.n_sent > 30

    result = called(script, n=2, until=until)
    assert list(result.faults.values()) == [1]
    assert fault in next(iter(result.faults))


def test_a_server_that_does_not_read_holds_nobody_up():
    def until(callers):
        stream = callers._streams[0]
        stream.pause_writing()
        if stream.counts.n_held_back >= 5:
            stream.resume_writing()
            return True
        return False

    result = called(silence, n=1, until=until)
    assert result.counts[0].n_held_back >= 5


def test_a_window_begins_anew():
    async def main():
        async with serve(silence) as line:
            callers = Callers(CallPlan(server_url=line.url, utterances=()), 1)
            async with asyncio.timeout(LIMIT_S), callers.calling(lambda n: None):
                while not after(callers, 10):
                    await asyncio.sleep(0.01)
                (before,) = callers.count_anew()
                while not after(callers, 5):
                    await asyncio.sleep(0.01)
                (window,) = callers.count_anew()
                return before, window

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        before, window = runner.run(main())
    assert before.first_frame == 0
    assert window.first_frame == before.n_sent
    assert len(window.sent_at) == window.n_sent
