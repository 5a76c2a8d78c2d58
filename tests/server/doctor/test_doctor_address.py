import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import certificates
import pytest

from doctor_world import PUBLIC, PUBLIC_URL, look, situation
from voice_ai.errors import UsageError
from voice_ai.server.doctor import checks_address as checks
from voice_ai.server.doctor.port import Port

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="makes certificates")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://phone.example.com", "Twilio needs https"),
        ("phone.example.com", "Twilio needs https"),
        ("https://phone.example.com/incoming-call", "has a path"),
        ("https://phone.example.com?x=1", "has a path"),
        ("https://localhost", "nobody outside"),
        ("https://192.168.1.5:8443", "nobody outside"),
        ("https://[::1]", "nobody outside"),
        ("https://kitchen.local", "nobody outside"),
        ("https://kitchen", "nobody outside"),
        ("https://[broken", "cannot be used"),
        ("https://a_b.example.com", "cannot be used"),
    ],
)
def test_an_address_that_twilio_cannot_use(url, words):
    outcome = look(checks.public_url, situation(environ={"PUBLIC_URL": url}))
    assert outcome.state == "failed" and words in outcome.found


def test_without_an_address_only_this_machine_can_call():
    assert look(checks.public_url, situation()).state == "warning"


def test_an_address_that_twilio_can_use():
    outcome = look(checks.public_url, situation(public_url=PUBLIC_URL))
    assert outcome.state == "ok" and PUBLIC_URL in outcome.found


@pytest.mark.parametrize(
    ("who", "detail", "state", "words"),
    [
        ("another", "process 7 (nginx), it answers /livez with 404", "failed", "7 (nginx)"),
        ("forbidden", "Permission denied", "failed", "Permission denied"),
        ("ours", "process 8 (python)", "ok", "this server is running, process 8"),
        ("nobody", "", "ok", "is free"),
    ],
)
def test_who_has_the_port(who, detail, state, words):
    outcome = look(checks.port, situation(port=Port(who, "http://127.0.0.1:8000", detail)))
    assert outcome.state == state and words in outcome.found


def tls(cert, key, **changes):
    fields = {"tls_cert": cert, "tls_key": key, "host": "127.0.0.1", "now": datetime.now(UTC)}
    return situation(**(fields | changes))


@needs_openssl
def test_a_certificate_for_another_host(tmp_path):
    cert, key = certificates.make(tmp_path)
    outcome = look(checks.tls, tls(cert, key, public_url=PUBLIC_URL))
    assert outcome.state == "failed" and "Hostname mismatch" in outcome.found


@needs_openssl
def test_a_certificate_with_the_key_of_another(tmp_path):
    cert, _ = certificates.make(tmp_path)
    _, key = certificates.make(tmp_path, "other")
    with pytest.raises(UsageError, match="is not the key of the certificate"):
        look(checks.tls, tls(cert, key))
    with pytest.raises(UsageError, match="cannot be read"):
        look(checks.tls, tls(cert, tmp_path / "none.key"))


@needs_openssl
def test_a_certificate_that_has_ended(tmp_path):
    cert, key = certificates.make(tmp_path)
    ended = tmp_path / "ended.pem"
    command = ["openssl", "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", ended]
    subprocess.run(command, check=True, capture_output=True)
    outcome = look(checks.tls, tls(ended, key))
    assert outcome.state == "failed" and "expired" in outcome.found


@needs_openssl
def test_a_certificate_that_is_about_to_end(tmp_path):
    outcome = look(checks.tls, tls(*certificates.make(tmp_path)))  # in two days
    assert outcome.state == "warning" and re.search(r"ends in [12] days", outcome.found)


@needs_openssl
def test_a_certificate_that_only_we_trust(tmp_path):
    long = ("-nodes", "-days", "90")
    outcome = look(checks.tls, tls(*certificates.make(tmp_path, "long", *long)))
    assert outcome.state == "warning" and "Twilio will not trust" in outcome.found


@needs_openssl
def test_a_certificate_that_the_system_trusts(tmp_path, monkeypatch):
    cert, key = certificates.make(tmp_path, "long", "-nodes", "-days", "90")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    outcome = look(checks.tls, tls(cert, key))
    assert outcome.state == "ok", outcome
    later = datetime.now(UTC) + timedelta(days=85)
    assert look(checks.tls, tls(cert, key, now=later)).state == "warning"


def test_without_a_certificate_somebody_else_speaks_tls():
    assert look(checks.tls, situation()).state == "skipped"


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"host": "0.0.0.0", "insecure": True}, "warning"),
        ({"public_url": PUBLIC_URL}, "warning"),
        (PUBLIC, "ok"),
        ({}, "ok"),
    ],
)
def test_who_can_make_calls(settings, state):
    assert look(checks.open_door, situation(**settings)).state == state


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"host": "0.0.0.0", "console_password": "long enough"}, "warning"),
        ({"host": "0.0.0.0", "console_password": "long enough", **PUBLIC}, "ok"),
        ({"host": "0.0.0.0"}, "ok"),
        ({}, "ok"),
    ],
)
def test_who_sees_the_console(settings, state):
    assert look(checks.console, situation(**settings)).state == state


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"trusted_proxies": "0.0.0.0/0"}, "warning"),
        ({"host": "0.0.0.0", **PUBLIC}, "warning"),
        ({"host": "0.0.0.0", "trusted_proxies": "10.0.0.1", **PUBLIC}, "ok"),
        ({}, "ok"),
    ],
)
def test_whose_word_is_taken(settings, state):
    assert look(checks.trusted_proxies, situation(**settings)).state == state
