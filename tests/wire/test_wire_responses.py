import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.errors import ProtocolError
from voice_ai.wire.responses import (
    MAX_EVENT_OCTETS,
    ArgumentsDelta,
    Completed,
    EventSplitter,
    Failed,
    Incomplete,
    Item,
    ItemsPage,
    Other,
    OutputItemDone,
    OutputTextDelta,
    RefusalDelta,
    Usage,
    parse_event,
    parse_id,
    parse_items,
)


def event(kind, **fields):
    return json.dumps({"type": kind, **fields})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not JSON"),
        (b"{broken", "not JSON"),
        (b"[DONE]", "not JSON"),
        (b"[]", "sent a list"),
        (b"{}", "'type' must be a string"),
        (b'{"type":1}', "'type' must be a string, the service sent int"),
        (
            event("response.output_text.delta"),
            "'delta' must be a string, the service sent NoneType",
        ),
        (event("response.refusal.delta", delta=[]), "'delta' must be a string"),
        (
            event("response.output_item.done", item=3),
            "'item' must be an object, the service sent int",
        ),
        (event("response.output_item.done"), "'id' must be a string"),
        (event("response.output_item.done", item={"id": "x"}), "'type' must be a string"),
        (event("response.failed", response="no"), "'response' must be an object"),
    ],
)
def test_what_cannot_be_read_is_a_protocol_error(data, told):
    with pytest.raises(ProtocolError, match="^.*" + told.replace("[", r"\[")):
        parse_event(data)


@pytest.mark.parametrize("kind", ["response.created", "response.in_progress", "keepalive", ""])
def test_an_unknown_event_is_other(kind):
    assert parse_event(event(kind, sequence_number=1)) == Other(kind)


def test_text_and_refusal_deltas():
    assert parse_event(event("response.output_text.delta", delta="Hé", logprobs=[])) == (
        OutputTextDelta("Hé")
    )
    assert parse_event(event("response.refusal.delta", delta="")) == RefusalDelta("")


def test_an_item_that_is_done():
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    assert parse_event(event("response.output_item.done", item={**message, "content": []})) == (
        OutputItemDone(Item("msg_1", "message", "completed", "assistant"))
    )
    call = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f"}
    assert parse_event(event("response.output_item.done", item={**call, "arguments": "{}"})) == (
        OutputItemDone(Item("fc_1", "function_call", call_id="call_1", name="f", arguments="{}"))
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        (7, ""),
        ("plain", "plain"),
        ([], ""),
        ([{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "x"}, 3], "a"),
        ([{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}], "ab"),
    ],
)
def test_the_text_of_a_message_is_that_of_its_text_parts(content, text):
    item = {"id": "msg_1", "type": "message", "content": content}
    assert parse_event(event("response.output_item.done", item=item)).item.text == text


def test_the_ways_in_which_a_response_ends():
    assert parse_event(event("response.completed", response={"id": "r"})) == Completed()
    details = {"incomplete_details": {"reason": "max_output_tokens"}}
    assert parse_event(event("response.incomplete", response=details)) == (
        Incomplete("max_output_tokens")
    )
    assert parse_event(event("response.incomplete")) == Incomplete("")
    error = {"error": {"code": "server_error", "message": "Sorry."}}
    assert parse_event(event("response.failed", response=error)) == Failed("server_error", "Sorry.")
    assert parse_event(event("response.failed", response={"error": None})) == Failed("", "")


def test_an_error_event_is_read_flat_and_nested():
    flat = event("error", code="c", message="m", param="p")
    nested = event("error", status=400, error={"code": "c", "message": "m", "param": "p"})
    assert parse_event(flat) == parse_event(nested) == Failed("c", "m", "p")
    assert parse_event(event("error", code=None, message="m", param=None)) == Failed("", "m", "")


def test_a_conversation_is_read_for_its_id():
    assert parse_id(b'{"id":"conv_1","object":"conversation"}') == "conv_1"
    with pytest.raises(ProtocolError, match="'id' must be a string"):
        parse_id(b"{}")


@pytest.mark.parametrize("data", ["{}", '{"data":{}}', '{"data":[1]}'])
def test_a_list_of_items_that_is_none_is_a_protocol_error(data):
    with pytest.raises(ProtocolError, match="no list of objects"):
        parse_items(data)


def test_a_page_of_items_is_read():
    page = {
        "data": [
            {"id": "msg_1", "type": "message", "role": "user", "content": [{"text": "Hello."}]},
            {"id": "fco_1", "type": "function_call_output", "call_id": "call_1", "output": "42"},
        ],
        "has_more": True,
        "last_id": "fco_1",
    }
    message = Item("msg_1", "message", role="user", text="Hello.")
    output = Item("fco_1", "function_call_output", call_id="call_1")
    assert parse_items(json.dumps(page)) == ItemsPage((message, output), True, "fco_1")
    empty = b'{"data":[],"has_more":false,"last_id":null}'
    assert parse_items(empty) == ItemsPage((), False, "")


# The splitter.


def split(*chunks):
    splitter = EventSplitter()
    return [data for chunk in chunks for data in splitter.feed(chunk)]


def test_nothing_in_nothing_out():
    assert split() == split(b"") == split(b"", b"") == []


def test_an_event_without_its_empty_line_is_not_one_yet():
    assert split(b"data: x") == split(b"data: x\n") == []
    assert split(b"data: x\n", b"\n") == [b"x"]


def test_empty_lines_and_events_without_data_are_nothing():
    assert split(b"\n\n\nevent: ping\n\nid: 3\nretry: 5\n\n") == []


def test_comments_and_other_fields_are_skipped():
    assert split(b": keep-alive\n\n:\nevent: error\ndata: x\nid: 1\nunknown\n\n") == [b"x"]


def test_several_data_lines_are_one_event():
    assert split(b"data: a\ndata:b\ndata\ndata:  c\n\n") == [b"a\nb\n\n c"]


def test_all_three_ends_of_line_and_a_byte_order_mark():
    assert split(b"\xef\xbb\xbfdata: a\r\n\r\ndata: b\r\rdata: c\n\n") == [b"a", b"b", b"c"]


def test_a_cr_lf_that_two_chunks_share_is_one_end_of_line():
    assert split(b"data: a\r", b"\n", b"data: b\r", b"\n\r", b"\n") == [b"a\nb"]
    assert split(b"data: a\r", b"", b"\ndata: b\r\r") == [b"a\nb"]
    assert split(b"data: a\r", b"\rdata: b\r", b"\r") == [b"a", b"b"]


def test_an_event_without_end_is_refused_before_it_fills_the_memory():
    splitter = EventSplitter()
    splitter.feed(b"data: " + b"x" * (MAX_EVENT_OCTETS - 10))
    with pytest.raises(ProtocolError, match="octets") as refused:
        splitter.feed(b"x" * 20)
    assert refused.value.close_code == 1009
    splitter = EventSplitter()
    half = b"data:" + b"x" * (MAX_EVENT_OCTETS // 2) + b"\n"
    assert splitter.feed(half) == []
    with pytest.raises(ProtocolError, match="octets"):
        splitter.feed(half + half)


@pytest.mark.parametrize("before", [b"", b": begun\n\n"])
def test_an_event_whose_name_we_do_not_read_is_dropped_unseen(before):
    named = b"event: response.created\ndata: {broken\n\n"
    assert split(before + named, named, b"data: x\n\n") == [b"x"]
    assert split(before, b"event: response.failed\ndata: y\n\n" + named) == [b"y"]


@pytest.mark.parametrize(
    "odd",
    [
        b"event: \ndata: x\n\n",
        b"event: error\nid: 1\ndata: x\n\n",
        b"event: error\ndata:x\n\n",
        b"event:error\ndata: x\n\n",
        b"\nevent: error\ndata: x\n\n",
        b"event: error\r\ndata: x\r\n\r\n",
    ],
)
def test_what_the_service_does_not_write_today_is_read_too(odd):
    plain = b"event: error\ndata: a\n\n"
    assert split(plain, odd, plain + odd, plain) == [b"a", b"x", b"a", b"x", b"a"]


def test_a_named_event_without_data_is_nothing_and_its_name_ends_with_it():
    assert split(b"\n", b"event: error\n\n", b"event: ping\n\ndata: x\n\n") == [b"x"]
    assert split(b"\n", b"event: error\ndata: \n\n") == split(b"event: error\ndata: \n\n") == [b""]


LINES = st.lists(
    st.sampled_from(
        [b"data: one", b"data:", b"data: two", b": c", b"event: e", b"event: error", b"", b""]
    ),
    max_size=12,
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(LINES, ENDS, st.lists(st.integers(0, 80), max_size=8))
def test_any_chunking_gives_the_same_events(lines, end, cuts):
    stream = b"".join(line + end for line in lines)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut <= len(stream))})
    chunks = [stream[a:b] for a, b in zip(places, places[1:], strict=False)]
    assert split(*chunks) == split(stream)


@given(st.binary(max_size=200))
def test_any_bytes_are_split_or_skipped(stream):
    assert all(isinstance(data, bytes) for data in split(stream))


def test_arguments_are_not_read_before_they_are_whole():
    delta = event("response.function_call_arguments.delta", delta=None)
    assert parse_event(delta) == ArgumentsDelta()


USED = {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 12}, "output_tokens": 7}


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, Usage()),
        ([], Usage()),
        ({}, Usage()),
        ({"input_tokens": "30", "input_tokens_details": None, "output_tokens": -1}, Usage()),
        ({"input_tokens": 30, "input_tokens_details": []}, Usage(30)),
        (USED, Usage(30, 12, 7)),
    ],
)
def test_what_a_response_used_is_read_as_far_as_it_is_there(usage: object, read: Usage) -> None:
    response = {"usage": usage, "incomplete_details": {"reason": "max_output_tokens"}}
    assert parse_event(event("response.completed", response=response)) == Completed(read)
    incomplete = parse_event(event("response.incomplete", response=response))
    assert incomplete == Incomplete("max_output_tokens", read)
