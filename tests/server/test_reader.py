import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.server.http import RefusedError, Request
from voice_ai.server.reader import RequestReader

GET = b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nb\no\r\n1\r\nd\r\n0\r\nTrailer: t\r\n\r\n"
)
H2C = (
    b"POST /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"Content-Length: 4\r\n\r\nbody"
)


def read(*pieces: bytes, **limits: int) -> list[Request]:
    reader = RequestReader(**limits)
    requests = []
    for piece in pieces:
        reader.feed(piece)
        while request := reader.next():
            requests.append(request)
    return requests


def refusal(*pieces: bytes, **limits: int) -> int:
    with pytest.raises(RefusedError) as refused:
        read(*pieces, **limits)
    return refused.value.response.status


def test_nothing_is_no_request():
    reader = RequestReader()
    assert reader.next() is None and not reader.begun and not len(reader)


def test_empty_lines_begin_no_request():
    reader = RequestReader()
    reader.feed(b"\r\n\r\n")
    assert not reader.begun and reader.next() is None
    reader.feed(b"\r\n" + GET)
    assert reader.begun and reader.next() is not None and not reader.begun


def test_a_get_has_path_query_headers_and_no_body():
    (request,) = read(GET)
    assert (request.method, request.path, request.query, request.target) == (
        "GET",
        "/a",
        "b=c",
        "/a?b=c",
    )
    assert request.headers.get("host") == "h" and request.body == b"" and request.keep_alive
    assert not request.has_body


def test_a_post_has_its_body():
    assert read(POST)[0].body == b"body"


def test_a_chunked_body_is_joined_and_its_trailer_is_no_header():
    (request,) = read(CHUNKED)
    assert request.body == b"b\nod" and "Trailer" not in request.headers


def test_an_upgrade_to_http2_leaves_an_ordinary_request():
    (request, following) = read(H2C + GET)
    assert request.body == b"body" and following.path == "/a"


def test_an_absolute_target_is_reduced_to_its_path():
    (request,) = read(b"GET http://h:80/a?b=c#d HTTP/1.1\r\nHost: h\r\n\r\n")
    assert request.target == "/a?b=c"


def test_repeated_fields_are_joined_and_tokens_are_split():
    (request,) = read(b"GET / HTTP/1.1\r\nHost: h\r\nX: A, b\r\nx: c,\r\n\r\n")
    assert request.headers.get("X") == "A, b, c,"
    assert request.headers.tokens("X") == ["a", "b", "c"]
    assert "A, b" not in repr(request.headers)


def test_what_follows_an_upgrade_is_left_alone():
    reader = RequestReader()
    head = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader.feed(head + b"\x81\x00\r\n")
    assert reader.next() is not None
    assert reader.take_rest() == b"\x81\x00\r\n" and not len(reader)


def test_a_client_waits_for_continue_until_it_has_sent_something():
    reader = RequestReader()
    reader.feed(POST.replace(b"\r\n\r\nbody", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert reader.next() is None and reader.waiting is not None and reader.waiting.path == "/p"
    reader.feed(b"bo")
    assert reader.waiting is None and reader.next() is None and reader.waiting is None
    reader.feed(b"dy")
    assert (request := reader.next()) is not None and request.body == b"body"


def test_nobody_waits_for_continue_by_http_1_0_or_without_asking():
    for changed in (POST[:-4], POST[:-4].replace(b"1.1\r\n", b"1.0\r\nExpect: 100-continue\r\n")):
        reader = RequestReader()
        reader.feed(changed)
        assert reader.next() is None and reader.waiting is None


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\r\n",
        b"FOO / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Transfer-Encoding: gzip\r\n\r\nx",
    ],
)
def test_malformed(raw):
    assert refusal(raw) == 400


def test_other_versions_are_not_spoken():
    assert refusal(b"GET / HTTP/2.0\r\nHost: h\r\n\r\n") == 505


def test_a_head_of_exactly_the_limit_is_read_and_one_octet_more_is_not():
    assert len(read(GET, max_head_octets=len(GET))) == 1
    assert refusal(GET, max_head_octets=len(GET) - 1) == 431


def test_a_head_without_end_is_refused_at_the_limit():
    assert refusal(b"GET /", b"a" * 17_000) == 431
    assert refusal(b"GET / HTTP/1.1\r\n", b"X: " + b"a" * 17_000) == 431


def test_a_body_of_exactly_the_limit_is_read_and_a_larger_one_is_refused_unseen():
    assert len(read(POST, max_body_octets=4)) == 1
    assert refusal(POST[:-4], max_body_octets=3) == 413


def test_a_chunked_body_is_refused_when_it_has_grown_too_large():
    assert len(read(CHUNKED, max_body_octets=4)) == 1
    assert refusal(CHUNKED, max_body_octets=3) == 413
    assert refusal(CHUNKED.split(b"3;")[0], b"1;" + b"a" * 40, max_body_octets=4) == 413


MESSAGES = [GET, POST, CHUNKED, H2C, b"\r\n"]


@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.data())
def test_any_cut_of_the_same_octets_gives_the_same_requests(messages, data):
    raw = b"".join(messages)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole = [(r.method, r.target, r.headers.fields, r.body) for r in read(raw)]
    assert [(r.method, r.target, r.headers.fields, r.body) for r in read(*pieces)] == whole
    assert len(whole) == sum(message != b"\r\n" for message in messages)


@pytest.mark.parametrize("message", [GET, POST, CHUNKED, H2C])
def test_octet_by_octet(message):
    assert len(read(*(bytes([octet]) for octet in message * 2))) == 2


@given(st.binary(max_size=200))
def test_rubbish_is_refused_or_waited_for(rubbish):
    try:
        read(b"POST / HTTP/1.1\r\nHost: h\r\n" + rubbish)
    except RefusedError as refused:
        assert refused.response.status in (400, 413, 431)
