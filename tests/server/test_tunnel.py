"""A tunnel by ngrok or cloudflared: scripts in their place, which say what those say."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voice_ai.errors import PeerError, UsageError
from voice_ai.server import tunnel as module
from voice_ai.server.tunnel import choose, open_tunnel

LOCAL = "http://127.0.0.1:8000"
NGROK_URL = "https://quick-fox.ngrok-free.app"
CLOUDFLARE_URL = "https://ten-towns-join.trycloudflare.com"
STARTED = '"lvl":"info","msg":"started tunnel","name":"command_line","obj":"tunnels"'
# As agents of version 3 say it.
NGROK = f"""
echo '{{"lvl":"info","msg":"no configuration paths supplied","t":"2026-11-01T08:00:00Z"}}'
echo '{{"addr":"127.0.0.1:4040","lvl":"info","msg":"starting web service","obj":"web"}}'
echo '{{"lvl":"info","msg":"update available","obj":"updater","url":"https://ngrok.com/download"}}'
echo '{{"addr":"{LOCAL}",{STARTED},"url":"{NGROK_URL}"}}'
"""
# cloudflared 2026.9, cmd/cloudflared/tunnel/quick_tunnel.go.
CLOUDFLARED = f"""
exec 1>&2
echo '2026-11-01T08:00:00Z INF Thank you for trying Cloudflare Tunnel. (https://www.cloudflare.com/)'
echo '2026-11-01T08:00:00Z INF Requesting new quick Tunnel on trycloudflare.com...'
echo '2026-11-01T08:00:01Z INF |  Your quick Tunnel has been created! Visit it at:  |'
echo '2026-11-01T08:00:01Z INF |  {CLOUDFLARE_URL}                      |'
echo '2026-11-01T08:00:02Z INF Registered tunnel connection connIndex=0'
"""
# Its line breaks are JSON's, which printf would take for its own.
NO_ACCOUNT = r"""
cat <<'END'
{"lvl":"eror","err":"authentication failed: Usage of ngrok requires a verified account and \
authtoken.\nYour authtoken: 2abcSECRET\n\nERR_NGROK_4018\r\n"}
END
exit 1""".replace("\\\n", "")
STAY = 'echo "$@" > "$0.arguments"; echo $$ > "$0.pid"; while :; do sleep 0.05; done'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which there is no tunnel yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "seq", "sh", "sleep"):
        found = next(Path(at) / name for at in ("/bin", "/usr/bin") if (Path(at) / name).exists())
        (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(path: Path, name: str, script: str) -> Path:
    program = path / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def pid_of(program: Path) -> int:
    """The process that runs it, which writes its id a moment after its address."""
    return int(until(lambda: (program.with_name(f"{program.name}.pid")).read_text().strip()))


def arguments(program: Path) -> list[str]:
    pid_of(program)
    return program.with_name(f"{program.name}.arguments").read_text().split()


def until(found):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if value := found():
                return value
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError("not within 10 s")


def gone(pid: int) -> bool:
    """Whether a process is over, be it that nobody has asked for its exit code."""
    found = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True)
    return found.stdout.decode().strip()[:1] in ("", "Z")


def test_nothing_installed_says_what_to_do(path: Path) -> None:
    with pytest.raises(UsageError, match=r"ngrok or cloudflared, not found on PATH; install"):
        choose("auto")
    install(path, "ngrok", STAY)
    with pytest.raises(UsageError, match="--tunnel needs cloudflared, not found on PATH"):
        choose("cloudflared")


def test_another_program_is_none(path: Path) -> None:
    with pytest.raises(UsageError, match="--tunnel=bore is not known, needed ngrok or cloudflared"):
        choose("bore")


def test_the_first_one_installed_is_taken_unless_one_is_named(path: Path) -> None:
    install(path, "cloudflared", STAY)
    assert choose("auto") == "cloudflared"
    install(path, "ngrok", STAY)
    assert choose("auto") == "ngrok"
    assert choose("cloudflared") == "cloudflared"


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        ("ngrok", "exit 3", "ngrok ended with 3: it said nothing"),
        (
            "ngrok",
            NO_ACCOUNT,
            "ngrok ended with 1: authentication failed: Usage of ngrok requires a verified "
            "account and authtoken. (ERR_NGROK_4018)",
        ),
        (
            "ngrok",
            "echo 'ERROR:  unknown flag: --url' >&2; exit 1",
            "ngrok ended with 1: ERROR:  unknown flag: --url",
        ),
        (
            "cloudflared",
            'echo \'failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": '
            "dial tcp: lookup api.trycloudflare.com: no such host' >&2; exit 1",
            "cloudflared ended with 1: failed to request quick Tunnel",
        ),
        (
            "cloudflared",
            "echo '2026-11-01T08:00:00Z ERR Error unmarshaling: 429' >&2; exit 1",
            "cloudflared ended with 1: Error unmarshaling: 429",
        ),
    ],
)
def test_one_that_ends_early_is_told_with_its_words(
    path: Path, name: str, script: str, words: str
) -> None:
    install(path, name, script)
    with pytest.raises(PeerError) as failed, open_tunnel(choose(name), LOCAL):
        pass
    assert words in str(failed.value)
    assert "SECRET" not in str(failed.value)


def test_one_that_tells_no_address_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "URL_WITHIN_S", 0.3)
    program = install(path, "ngrok", STAY)
    with pytest.raises(PeerError, match=r"ngrok told no address within 0.3 s"):
        with open_tunnel("ngrok", LOCAL):
            pass
    assert gone(pid_of(program))


@pytest.mark.parametrize(
    ("name", "script", "url", "given"),
    [
        ("ngrok", NGROK, NGROK_URL, ["http", LOCAL, "--log=stdout", "--log-format=json"]),
        (
            "cloudflared",
            CLOUDFLARED,
            CLOUDFLARE_URL,
            ["tunnel", "--no-autoupdate", "--config", "/dev/null", "--url", LOCAL],
        ),
    ],
)
def test_the_address_is_learnt_and_the_tunnel_ends_with_the_block(
    path: Path, name: str, script: str, url: str, given: list[str]
) -> None:
    program = install(path, name, script + STAY)
    with open_tunnel(choose(name), LOCAL) as found:
        assert found == url
        assert arguments(program) == given
        assert not gone(pid_of(program))
    assert gone(pid_of(program))


def test_a_name_of_ngroks_is_asked_for_and_no_other(path: Path) -> None:
    program = install(path, "ngrok", NGROK + STAY)
    with open_tunnel("ngrok", LOCAL, "https://mine.ngrok.app"):
        assert arguments(program)[-1] == "--url=https://mine.ngrok.app"
    program.with_name("ngrok.pid").unlink()
    with open_tunnel("ngrok", LOCAL, "https://phone.example.com"):
        assert arguments(program)[-1] == "--log-format=json"


def test_our_own_certificate_is_not_asked_for(path: Path) -> None:
    program = install(path, "cloudflared", CLOUDFLARED + STAY)
    with open_tunnel("cloudflared", "https://127.0.0.1:8443"):
        assert arguments(program)[-3:] == ["--no-tls-verify", "--url", "https://127.0.0.1:8443"]


def test_all_that_it_says_is_read(path: Path) -> None:
    """More than a pipe holds: a tunnel whose log nobody reads stops."""
    script = NGROK + 'for n in $(seq 4000); do echo \'{"msg":"join","n":"%060d"}\'; done\n' + STAY
    program = install(path, "ngrok", script)
    with open_tunnel("ngrok", LOCAL):
        assert pid_of(program)


def test_one_that_ends_later_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(path, "ngrok", NGROK + "exit 1")
    with open_tunnel("ngrok", LOCAL):
        until(lambda: caplog.records)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "ngrok has ended" in record.getMessage()


def test_one_that_will_not_end_is_killed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_WITHIN_S", 0.4)
    program = install(path, "ngrok", "trap '' TERM\n" + NGROK + STAY)
    with open_tunnel("ngrok", LOCAL):
        pid = pid_of(program)
    until(lambda: gone(pid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_goes_with_a_process_that_is_killed(path: Path, number: signal.Signals) -> None:
    program = install(path, "ngrok", NGROK + STAY)
    code = (
        "import time\nfrom voice_ai.server.tunnel import open_tunnel\n"
        f"with open_tunnel('ngrok', '{LOCAL}') as url:\n    print(url, flush=True)\n"
        "    time.sleep(60)"
    )
    source = str(Path(module.__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": source},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().decode().strip() == NGROK_URL
        pid = pid_of(program)
        process.send_signal(number)
    until(lambda: gone(pid))
