import pytest

from voice_ai.codec.formats import PCM16_16K, ULAW_8K
from voice_ai.errors import UsageError
from voice_ai.server.providers import capacity
from voice_ai.server.settings import Settings, load_settings

SECRET = "hush-7f3a9c"


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Load from these variables and this `.env` only."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def load(env_file: str | bytes | None = None, **variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        if env_file is not None:
            data = env_file if isinstance(env_file, bytes) else env_file.encode()
            (tmp_path / ".env").write_bytes(data)
        return load_settings()

    return load


@pytest.fixture
def problems(load):
    def problems(**variables: str) -> list[str]:
        with pytest.raises(UsageError) as refused:
            load(**variables)
        head, *lines = str(refused.value).splitlines()
        assert head == f"{len(lines)} problem{'s' * (len(lines) > 1)} in the settings:"
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
        return [line.removeprefix("  ") for line in lines]

    return problems


def test_with_nothing_set_the_local_providers_serve_on_the_loopback(load):
    settings = load()
    assert (settings.stt, settings.llm, settings.tts) == ("local", "local", "local")
    assert (settings.host, settings.port, settings.debug, settings.is_public) == (
        "127.0.0.1",
        8000,
        False,
        False,
    )
    assert settings.openai_model == "gpt-5-nano" and settings.openai_reasoning_effort is None
    assert (settings.history, settings.eot_threshold, settings.eager_eot_threshold) == (
        "conversation",
        0.6,
        None,
    )
    assert settings.eot_timeout_ms == 3000 and settings.resampler == "fir"
    assert settings.stt_audio == settings.tts_audio == PCM16_16K
    unset = ("deepgram_url", "openai_base_url", "public_url", "twilio_auth_token", "agent")
    assert all(getattr(settings, name) is None for name in unset)


def test_a_key_chooses_its_providers(load):
    settings = load(DEEPGRAM_API_KEY="k")
    assert (settings.stt, settings.llm, settings.tts) == ("deepgram", "local", "deepgram")
    settings = load(OPENAI_API_KEY="k", TTS="local")
    assert (settings.stt, settings.llm, settings.tts) == ("deepgram", "openai", "local")


def test_the_environment_is_above_the_file(load):
    settings = load("PORT=1\nHOST=::1\nSOMETHING_ELSE=x\n# a comment\n", PORT="2")
    assert (settings.port, settings.host) == (2, "::1")


def test_blank_is_unset_but_for_keys(load, problems):
    assert load(PORT="", TTS=" ", PUBLIC_URL="").port == 8000
    wrong = "is blank or has whitespace in it; give the key alone, or leave the variable out"
    assert problems(OPENAI_API_KEY="", DEEPGRAM_API_KEY=" ", TWILIO_AUTH_TOKEN="a b") == [
        f"DEEPGRAM_API_KEY {wrong}",
        f"OPENAI_API_KEY {wrong}",
        f"TWILIO_AUTH_TOKEN {wrong}",
    ]


def test_values_are_read(load):
    settings = load(
        STT_AUDIO="mulaw/8000",
        DEEPGRAM_URL="ws://127.0.0.1:9101/",
        PUBLIC_URL="https://voice.example.org/",
        HISTORY="local",
        EAGER_EOT_THRESHOLD="0.4",
        AGENT="shop:agent",
        DEBUG="1",
        RESAMPLER="soxr",
    )
    assert settings.stt_audio == ULAW_8K and settings.deepgram_url == "ws://127.0.0.1:9101"
    assert settings.public_url == "https://voice.example.org" and settings.debug
    assert settings.eager_eot_threshold == 0.4 and settings.agent == "shop:agent"
    assert settings.resampler == "soxr"


def test_every_problem_is_reported_at_once(problems):
    assert problems(
        PORT="abc",
        EOT_THRESHOLD="7",
        HOST="0.0.0.0",
        STT="deepgram",
        TTS_AUDIO="mp3",
        AGENT="shop",
        OPENAI_BASE_URL="localhost",
    ) == [
        "OPENAI_BASE_URL=localhost must be a URL that begins with http:// or https://",
        "PORT=abc should be a valid integer, unable to parse string as an integer",
        "EOT_THRESHOLD=7 should be less than or equal to 1",
        "TTS_AUDIO=mp3 must be linear16/16000 or mulaw/8000",
        "AGENT=shop must be module:attribute or the name of a .toml file",
        "STT=deepgram needs DEEPGRAM_API_KEY",
        "HOST=0.0.0.0 is public: PUBLIC_URL is needed, or INSECURE=1",
        "HOST=0.0.0.0 is public: TWILIO_AUTH_TOKEN is needed, or INSECURE=1",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STT", "whisper"),
        ("LLM", "deepgram"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("DEBUG", "perhaps"),
        ("HISTORY", "none"),
        ("EOT_THRESHOLD", "0.4"),
        ("EOT_TIMEOUT_MS", "499"),
        ("STT_AUDIO", "linear16/24000"),
        ("RESAMPLER", "sinc"),
        ("DEEPGRAM_URL", "ws://"),
        ("TWILIO_API_URL", "ftp://x"),
        ("PUBLIC_URL", "http://voice.example.org"),
        ("PUBLIC_URL", "https://h.example/path"),
        ("PUBLIC_URL", "https://user@h.example"),
        ("PUBLIC_URL", "https://"),
        ("AGENT", "a.py"),
        ("TWILIO_ACCOUNT_SID", "AC1/../2"),
        ("TWILIO_NUMBER", "0555 01000"),
        ("TWILIO_NUMBER", "+0"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name, value, problems):
    (line,) = problems(**{name: value})
    assert line.startswith(f"{name}={value} " if len(value) <= 16 else f"{name} ")


def test_a_provider_needs_its_key(problems):
    assert problems(STT="deepgram", LLM="openai", TTS="deepgram") == [
        "STT=deepgram needs DEEPGRAM_API_KEY",
        "TTS=deepgram needs DEEPGRAM_API_KEY",
        "LLM=openai needs OPENAI_API_KEY",
    ]


def test_a_wrong_key_is_not_reported_as_missing_too(problems):
    (line,) = problems(STT="deepgram", DEEPGRAM_API_KEY=f"{SECRET} x")
    assert line.startswith("DEEPGRAM_API_KEY is blank")


def test_a_fallback_is_another_model_or_another_server(load):
    assert not load().has_fallback_model
    assert load(OPENAI_FALLBACK_MODEL="gpt-4.1-nano").has_fallback_model
    assert load(OPENAI_FALLBACK_BASE_URL="http://10.0.0.1:8000/v1/").has_fallback_model


def test_a_key_for_a_fallback_needs_one(problems):
    [line] = problems(OPENAI_FALLBACK_API_KEY="sk-1")
    assert line.endswith("needs OPENAI_FALLBACK_MODEL or OPENAI_FALLBACK_BASE_URL")


@pytest.mark.parametrize("value", ["0", "15.1", "soon"])
def test_the_first_word_is_awaited_for_as_long_as_the_turn_machine_does(value, problems):
    assert len(problems(LLM_FIRST_TOKEN_S=value)) == 1


def test_eager_end_of_turn_needs_local_history_and_the_lower_threshold(problems):
    assert problems(EAGER_EOT_THRESHOLD="0.7") == [
        "EAGER_EOT_THRESHOLD=0.7 is above EOT_THRESHOLD=0.6",
        "EAGER_EOT_THRESHOLD needs HISTORY=local",
    ]
    assert problems(EAGER_EOT_THRESHOLD="0.7", HISTORY="local") == [
        "EAGER_EOT_THRESHOLD=0.7 is above EOT_THRESHOLD=0.6"
    ]
    assert problems(EAGER_EOT_THRESHOLD="0.4", HISTORY="conversation") == [
        "EAGER_EOT_THRESHOLD needs HISTORY=local"
    ]


def test_an_eager_threshold_may_be_that_of_the_end_of_turn(load):
    both = load(EAGER_EOT_THRESHOLD="0.6", HISTORY="local")
    assert (both.eager_eot_threshold, both.eot_threshold) == (0.6, 0.6)


def test_calls_are_placed_on_purpose_and_with_all_that_they_need(load, problems):
    assert not load(TWILIO_NUMBER="+15550100002").outbound
    assert problems(OUTBOUND="1") == [
        "OUTBOUND=1 needs PUBLIC_URL",
        "OUTBOUND=1 needs TWILIO_ACCOUNT_SID",
        "OUTBOUND=1 needs TWILIO_AUTH_TOKEN",
    ]


def test_a_server_is_one_process_with_the_vendors_limits(load):
    settings = load()
    assert (settings.workers, settings.reuse_port, settings.max_calls) == (1, False, None)
    limits = (settings.flux_concurrency, settings.aura_concurrency, settings.llm_concurrency)
    assert limits == (50, 40, None) and settings.max_cpu_percent == 90
    assert settings.drain_s == 300 and "lines are busy" in settings.busy_sentence
    assert settings.busy_redirect_url is None


def test_a_port_of_its_own_choice_is_not_shared(load):
    assert load(REUSE_PORT="1").shares_port and not load(REUSE_PORT="1", PORT="0").shares_port


def test_the_command_line_is_above_the_environment(load):
    load(WORKERS="2")
    assert load_settings(workers=3).workers == 3
    with pytest.raises(UsageError, match="WORKERS=0"):
        load(WORKERS="0")


@pytest.mark.parametrize(
    ("variables", "capacity_is"),
    [
        ({}, 8),
        ({"MAX_CALLS": "3"}, 3),
        ({"MAX_CALLS": "300"}, 8),
        ({"DEEPGRAM_API_KEY": SECRET}, 40),
        ({"DEEPGRAM_API_KEY": SECRET, "AURA_CONCURRENCY": "100"}, 50),
        ({"DEEPGRAM_API_KEY": SECRET, "AURA_CONCURRENCY": "100", "FLUX_SPARE": "1"}, 49),
        (
            {
                "DEEPGRAM_API_KEY": SECRET,
                "FLUX_CONCURRENCY": "9",
                "FLUX_SPARE": "1",
                "WORKERS": "4",
            },
            5,
        ),
        ({"DEEPGRAM_API_KEY": SECRET, "STT": "local"}, 8),
        ({"DEEPGRAM_API_KEY": SECRET, "OPENAI_API_KEY": SECRET, "LLM_CONCURRENCY": "7"}, 7),
        ({"LLM_CONCURRENCY": "7"}, 8),
        ({"AURA_CONCURRENCY": "1", "FLUX_CONCURRENCY": "1"}, 8),
        ({"DEEPGRAM_API_KEY": SECRET, "FLUX_CONCURRENCY": "900", "AURA_CONCURRENCY": "900"}, 900),
    ],
)
def test_the_narrowest_limit_is_the_capacity(variables, capacity_is, load):
    assert capacity(load(**variables)) == capacity_is


def test_a_spare_leaves_streams_for_calls(load, problems):
    given = {"FLUX_CONCURRENCY": "2", "FLUX_SPARE": "1", "WORKERS": "2"}
    line = "FLUX_SPARE=1 takes 2 of FLUX_CONCURRENCY=2: none is left for calls"
    assert problems(DEEPGRAM_API_KEY=SECRET, **given) == [line]
    load(**given | {"WORKERS": "1"})


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        (
            {"BUSY_REDIRECT_URL": "http://127.0.0.1:8000/incoming-call"},
            "BUSY_REDIRECT_URL is this server's own webhook",
        ),
        (
            {
                "PUBLIC_URL": "https://phone.example.com",
                "BUSY_REDIRECT_URL": "https://phone.example.com/incoming-call/?again=1",
            },
            "BUSY_REDIRECT_URL is this server's own webhook",
        ),
    ],
)
def test_what_would_go_round_in_circles_is_refused(variables, line, problems):
    assert problems(**variables) == [line]


def test_a_redirect_may_have_a_query(load):
    url = "https://other.example.com/incoming-call?from=us"
    assert load(BUSY_REDIRECT_URL=url).busy_redirect_url == url


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1"])
def test_the_loopback_is_not_public(host, load):
    assert not load(HOST=host).is_public


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "voice.example.org"])
def test_a_public_address_is_open_on_purpose_only(host, load, problems):
    assert len(problems(HOST=host)) == 2
    assert load(HOST=host, INSECURE="1").is_public


def test_a_public_address_with_its_url_and_token(load):
    settings = load(HOST="0.0.0.0", PUBLIC_URL="https://h.example:8443", TWILIO_AUTH_TOKEN=SECRET)
    assert settings.is_public and settings.twilio_auth_token.get_secret_value() == SECRET


def test_no_secret_is_ever_shown(load, problems):
    names = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "TWILIO_AUTH_TOKEN", "API_TOKEN")
    names += ("OPENAI_FALLBACK_API_KEY",)
    settings = load(**dict.fromkeys(names, SECRET), OPENAI_FALLBACK_MODEL="other")
    shown = [repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()]
    assert not any(SECRET in text for text in shown)
    lines = problems(**dict.fromkeys(names, SECRET + "\t"), PORT=f"{SECRET}{SECRET}")
    assert len(lines) == 6 and SECRET not in "".join(lines)


def test_a_file_that_is_no_text_is_named(load):
    with pytest.raises(UsageError, match=r"^\.env cannot be read: UnicodeDecodeError$"):
        load(b"PORT=\xff\xfe")


def test_settings_cannot_be_changed(load):
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1


def test_calls_are_kept_unless_told_otherwise(load, problems):
    settings = load()
    assert (settings.keep_calls, str(settings.data_dir)) == (True, "data")
    assert (settings.calls_retention_days, settings.calls_max_mb) == (30, 256)
    settings = load(KEEP_CALLS="0", DATA_DIR="/srv/calls", CALLS_RETENTION_DAYS="0.5")
    assert (settings.keep_calls, str(settings.data_dir)) == (False, "/srv/calls")
    assert len(problems(KEEP_CALLS="x", CALLS_RETENTION_DAYS="0", CALLS_MAX_MB="0")) == 3


def test_a_blank_folder_is_the_default_one(load):
    assert str(load(DATA_DIR=" ").data_dir) == "data"
