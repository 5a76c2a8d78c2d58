"""The settings: environment variables, and `.env` beneath. Every problem is reported at once."""

import ipaddress
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from voice_ai.agent import PHONE_NUMBER
from voice_ai.codec.formats import PCM16_16K, ULAW_8K, AudioFormat
from voice_ai.errors import UsageError
from voice_ai.server.limits import LOOPBACK, Network
from voice_ai.server.loopback import is_loopback

PROVIDER_FORMATS: Final = (PCM16_16K, ULAW_8K)
# A name of Aura's, such as aura-2-helena-en; one of OpenAI's; the local voice.
VOICE: Final = re.compile(r"aura-[a-z0-9-]+|openai:[a-z]+|local")
MAX_QUOTED_CHARS: Final = 16
# RFC 6750 section 2.1 and the keys of all three vendors: visible ASCII.
KEY: Final = re.compile(r"[!-~]+")
# NIST SP 800-63B section 5.1.1.1.
MIN_PASSWORD_CHARS: Final = 8
# It becomes a part of a URL. Twilio's are 32 hexadecimal digits after the two letters.
ACCOUNT_SID: Final = re.compile(r"AC[0-9A-Za-z]{1,62}")
BUSY_SENTENCE: Final = (
    "All our lines are busy at the moment. Please call again in a few minutes. Goodbye."
)
PUBLIC_URL: Final = re.compile(r"https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)


def _key(key: SecretStr) -> SecretStr:
    if not KEY.fullmatch(key.get_secret_value()):
        raise ValueError(
            "is blank or has whitespace in it; give the key alone, or leave the variable out"
        )
    return key


def _audio(value: object) -> AudioFormat:
    for known in PROVIDER_FORMATS:
        if value in (known, str(known)):
            return known
    raise ValueError(f"must be {' or '.join(map(str, PROVIDER_FORMATS))}")


def _public_url(url: str) -> str:
    bare = url.rstrip("/")
    if not PUBLIC_URL.fullmatch(bare):
        raise ValueError("must be https://host as Twilio calls it, with no path")
    return bare


def _url(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                f"must be a URL that begins with {' or '.join(f'{s}://' for s in schemes)}"
            )
        return url.rstrip("/")

    return AfterValidator(check)


def _redirect_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL that begins with http:// or https://")
    return url


def _account_sid(sid: str) -> str:
    if not ACCOUNT_SID.fullmatch(sid):
        raise ValueError("must be AC and letters or digits, as in Twilio's console")
    return sid


def _number(number: str) -> str:
    if not PHONE_NUMBER.fullmatch(number):
        raise ValueError("must be a number such as +15550100002")
    return number


def _networks(value: object) -> object:
    """Read addresses and networks with commas between; a host stands for itself alone."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(
            ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip()
        )
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, with commas") from None


def _agent(name: str) -> str:
    if not (name.endswith(".toml") or re.fullmatch(r"[\w.]+:[\w.]+", name)):
        raise ValueError("must be module:attribute or the name of a .toml file")
    return name


def _voices(value: object) -> object:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return value
    bare = tuple(str(name).strip() for name in names)
    for name in bare:
        if not VOICE.fullmatch(name):
            raise ValueError("must be of aura-NAME, openai:VOICE and local, with commas between")
    return bare


Key = Annotated[SecretStr, AfterValidator(_key)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
ProviderFormat = Annotated[AudioFormat, NoDecode, BeforeValidator(_audio)]


class Settings(BaseSettings):
    """What the server is told from outside; each field's variable is its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    deepgram_api_key: Key | None = None
    openai_api_key: Key | None = None
    stt: Literal["deepgram", "local"] = "local"
    llm: Literal["openai", "local"] = "local"
    tts: Literal["deepgram", "local"] = "local"
    tts_fallback: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_voices)] = ()
    deepgram_url: Annotated[str, _url("ws", "wss", "http", "https")] | None = None
    openai_base_url: Annotated[str, _url("http", "https")] | None = None
    openai_model: str = "gpt-5-nano"
    openai_reasoning_effort: str | None = None
    openai_fallback_model: str | None = None
    openai_fallback_base_url: Annotated[str, _url("http", "https")] | None = None
    openai_fallback_api_key: Key | None = None
    # The turn machine apologises after 15 s, whoever is still being asked.
    llm_first_token_s: Annotated[float, Field(gt=0, le=15)] = 4.0
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    reuse_port: bool = False
    debug: bool = False
    insecure: bool = False
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    twilio_auth_token: Key | None = None
    twilio_account_sid: Annotated[str, AfterValidator(_account_sid)] | None = None
    twilio_api_url: Annotated[str, _url("http", "https")] = "https://api.twilio.com"
    twilio_number: Annotated[str, AfterValidator(_number)] | None = None
    outbound: bool = False
    api_token: Key | None = None
    max_calls: Annotated[int, Field(ge=1)] | None = None
    # The vendors' own limits for a new account: developers.deepgram.com/reference/api-rate-limits.
    # OpenAI's are requests a minute.
    flux_concurrency: Annotated[int, Field(ge=1)] = 50
    flux_spare: bool = False
    aura_concurrency: Annotated[int, Field(ge=1)] = 40
    llm_concurrency: Annotated[int, Field(ge=1)] | None = None
    max_cpu_percent: Annotated[float, Field(gt=0, le=100)] = 90
    # Well below the 4,096 that Twilio speaks.
    busy_sentence: Annotated[str, Field(max_length=1000)] = BUSY_SENTENCE
    busy_redirect_url: Annotated[str, AfterValidator(_redirect_url)] | None = None
    drain_s: Annotated[float, Field(ge=0)] = 300
    # A load balancer asks once a second, a person ten times a page. What Twilio signs goes through.
    requests_per_s_per_ip: Annotated[float, Field(gt=0)] = 20
    requests_per_s: Annotated[float, Field(gt=0)] = 500
    max_connections_per_ip: Annotated[int, Field(ge=1)] = 128
    max_connections: Annotated[int, Field(ge=1)] = 2048
    trusted_proxies: Networks = LOOPBACK
    console_password: SecretStr | None = None
    metrics_token: Key | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log_format: Literal["text", "json"] = "text"
    log_transcripts: bool = False
    transcript_retention_s: Annotated[float, Field(ge=0)] = 3600
    keep_calls: bool = True
    data_dir: Path = Path("data")
    calls_retention_days: Annotated[float, Field(gt=0)] = 30
    calls_max_mb: Annotated[int, Field(ge=1)] = 256
    record: bool = False
    recording_retention_days: Annotated[float, Field(gt=0)] = 7
    recordings_max_mb: Annotated[int, Field(ge=1)] = 1024
    recording_notice: Annotated[str, Field(max_length=500)] | None = None
    history: Literal["conversation", "local"] = "conversation"
    # Flux's own ranges: developers.deepgram.com/docs/flux/configuration.
    eot_threshold: Annotated[float, Field(ge=0.5, le=1.0)] = 0.6
    eager_eot_threshold: Annotated[float, Field(ge=0.3, le=0.9)] | None = None
    eot_timeout_ms: Annotated[int, Field(ge=500, le=60_000)] = 3000
    stt_audio: ProviderFormat = PCM16_16K
    tts_audio: ProviderFormat = PCM16_16K
    resampler: Literal["fir", "soxr"] = "fir"
    agent: Annotated[str, AfterValidator(_agent)] | None = None
    local_stt_model: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Take blank as unset, but for keys: a lost one must show. Choose providers by the keys."""
        kept = {
            name: value
            for name, value in given.items()
            if name in KEYS or not isinstance(value, str) or value.strip()
        }
        for key, roles in KEYS.items():
            for role, provider in roles.items():
                if key in kept:
                    kept.setdefault(role, provider)
        return kept

    @property
    def has_fallback_model(self) -> bool:
        """Whether another language model stands in for the first."""
        return bool(self.openai_fallback_model or self.openai_fallback_base_url)

    @property
    def is_public(self) -> bool:
        """Whether others than this machine can reach the server."""
        return not is_loopback(self.host)

    @property
    def n_spares(self) -> int:
        """How many of the Flux streams are spares: one a process."""
        return self.workers if self.flux_spare else 0

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the server by TLS: ours, or that of what is before us."""
        return self.public_url is not None or self.tls_cert is not None

    def secrets(self) -> list[str]:
        """Return everything that no log and no answer may hold."""
        found = (getattr(self, name) for name in type(self).model_fields)
        return [one.get_secret_value() for one in found if isinstance(one, SecretStr)]

    @property
    def shares_port(self) -> bool:
        """Whether other processes may listen on our port; on one of our own choice nobody does."""
        return self.reuse_port and self.port != 0

    def conflicts(self) -> Iterator[tuple[set[str], str]]:
        """Yield what does not go together: the fields that it is about, and what is wrong."""
        for key, roles in KEYS.items():
            for role, provider in roles.items():
                if getattr(self, role) == provider and getattr(self, key) is None:
                    yield {role, key}, f"{role.upper()}={provider} needs {key.upper()}"
        for key, is_its in (("deepgram_api_key", "aura-"), ("openai_api_key", "openai:")):
            needs = [voice for voice in self.tts_fallback if voice.startswith(is_its)]
            if needs and getattr(self, key) is None:
                text = f"TTS_FALLBACK={','.join(needs)} needs {key.upper()}"
                yield {"tts_fallback", key}, text
        if self.is_public and not self.insecure:
            for name in ("public_url", "twilio_auth_token"):
                if getattr(self, name) is None:
                    text = f"HOST={self.host} is public: {name.upper()} is needed, or INSECURE=1"
                    yield {"host", name, "insecure"}, text
        if self.outbound:
            for name in OUTBOUND_NEEDS:
                if getattr(self, name) is None:
                    yield {"outbound", name}, f"OUTBOUND=1 needs {name.upper()}"
        if self.openai_fallback_api_key and not self.has_fallback_model:
            text = "OPENAI_FALLBACK_API_KEY needs OPENAI_FALLBACK_MODEL or OPENAI_FALLBACK_BASE_URL"
            yield {"openai_fallback_model", "openai_fallback_base_url"}, text
        if (self.tls_cert is None) != (self.tls_key is None):
            yield {"tls_cert", "tls_key"}, "TLS_CERT and TLS_KEY go together"
        password = self.console_password
        if password and len(password.get_secret_value()) < MIN_PASSWORD_CHARS:
            text = f"CONSOLE_PASSWORD needs {MIN_PASSWORD_CHARS} characters or more"
            yield {"console_password"}, text
        if self.busy_redirect_url and self._is_ours(self.busy_redirect_url):
            yield {"busy_redirect_url"}, "BUSY_REDIRECT_URL is this server's own webhook"
        if self.flux_spare and self.flux_concurrency <= self.n_spares:
            text = f"FLUX_SPARE=1 takes {self.n_spares} of FLUX_CONCURRENCY={self.flux_concurrency}"
            yield {"flux_spare", "flux_concurrency", "workers"}, f"{text}: none is left for calls"
        if self.eager_eot_threshold is not None:
            yield from self._eager_conflicts(self.eager_eot_threshold)

    def _is_ours(self, url: str) -> bool:
        """Whether a URL is our webhook: a caller who is sent there goes round in circles."""
        parts = urlsplit(url)
        ours = urlsplit(self.public_url or f"http://{self.host}:{self.port}")
        return (parts.netloc, parts.path.rstrip("/")) == (ours.netloc, "/incoming-call")

    def _eager_conflicts(self, eager: float) -> Iterator[tuple[set[str], str]]:
        if eager > self.eot_threshold:
            text = f"EAGER_EOT_THRESHOLD={eager:g} is above EOT_THRESHOLD={self.eot_threshold:g}"
            yield {"eager_eot_threshold", "eot_threshold"}, text
        if self.history == "conversation":
            yield {"eager_eot_threshold", "history"}, "EAGER_EOT_THRESHOLD needs HISTORY=local"


# What a call that we place goes through.
OUTBOUND_NEEDS: Final = ("public_url", "twilio_account_sid", "twilio_auth_token", "twilio_number")
# Which key makes which provider the default of which role; the last ones serve no role.
KEYS: Final[dict[str, dict[str, str]]] = {
    "deepgram_api_key": {"stt": "deepgram", "tts": "deepgram"},
    "openai_api_key": {"llm": "openai"},
    "openai_fallback_api_key": {},
    "twilio_auth_token": {},
    "api_token": {},
    "console_password": {},
    "metrics_token": {},
}


def load_settings(
    env_file: Path | None = Path(".env"), *, coming: Collection[str] = (), **given: Any
) -> Settings:
    """Read the settings.

    Args:
        env_file: beneath the environment; need not exist, None reads none.
        coming: fields that are not known yet and will be: nothing lacks them.
        given: fields that stand above both.

    Raises:
        UsageError: some cannot be used; its text has a line for each, by the variables' names, and
            no secret.
    """
    settings, lines = read_settings(env_file, coming=coming, **given)
    if lines:
        head = f"{len(lines)} problem{'s' * (len(lines) > 1)} in the settings:"
        raise UsageError("\n  ".join([head, *lines]))
    return settings


def read_settings(
    env_file: Path | None = Path(".env"), *, coming: Collection[str] = (), **given: Any
) -> tuple[Settings, list[str]]:
    """Read the settings, whatever is wrong with them: such fields have their defaults.

    Returns:
        The settings, and a line for each that cannot be used or goes with no other.

    Raises:
        UsageError: `env_file` cannot be read.
    """
    problems: dict[str, str] = {}
    try:
        settings = Settings(_env_file=env_file, **given)  # type: ignore[call-arg]
    except ValidationError as error:
        problems = {str(one["loc"][0]): _problem(one) for one in error.errors()}
        defaults = {name: Settings.model_fields[name].default for name in problems}
        settings = Settings(_env_file=env_file, **(given | defaults))  # type: ignore[call-arg]
    except (SettingsError, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{env_file} cannot be read: {type(error).__name__}") from None
    lines = [*problems.values()]
    lines += [text for about, text in settings.conflicts() if not about & {*problems, *coming}]
    return settings, lines


def _problem(error: ErrorDetails) -> str:
    """Say what is wrong with one variable, by its name; quote what came if it can be no secret."""
    name, came = str(error["loc"][0]), error["input"]
    wrong = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    # Short words and numbers only: a key that was pasted into the wrong line is longer than this.
    short = isinstance(came, str) and len(came) <= MAX_QUOTED_CHARS
    return (
        f"{name.upper()}={came} {wrong}"
        if short and name not in KEYS
        else f"{name.upper()} {wrong}"
    )
