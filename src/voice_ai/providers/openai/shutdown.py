"""Models that OpenAI will switch off, so that the operator hears of it before the callers do."""

from datetime import date, timedelta

# Source: https://developers.openai.com/api/docs/deprecations
SHUTDOWNS: dict[str, tuple[date, str]] = {
    "gpt-5": (date(2026, 12, 11), "gpt-6.1-sol"),
    "gpt-5-2025-08-07": (date(2026, 12, 11), "gpt-6.1-sol"),
    "gpt-5-mini": (date(2026, 12, 11), "gpt-6.1-terra"),
    "gpt-5-mini-2025-08-07": (date(2026, 12, 11), "gpt-6.1-terra"),
    "gpt-5-nano": (date(2026, 12, 11), "gpt-6-luna"),
    "gpt-5-nano-2025-08-07": (date(2026, 12, 11), "gpt-6-luna"),
    "gpt-4o": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4o-2024-08-06": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4o-2024-11-20": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4o-mini": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4o-mini-2024-07-18": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4.1": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4.1-2025-04-14": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4.1-mini": (date(2027, 1, 14), "gpt-6-luna"),
    "gpt-4.1-mini-2025-04-14": (date(2027, 1, 14), "gpt-6-luna"),
}
# The voice, which no setting names: openai/resources/audio/speech.py (3.54).
SPEECH_SHUTDOWN = date(2027, 1, 6)
WARN_BEFORE = timedelta(days=31)


def shutdown_warning(model: str, today: date) -> str | None:
    """Say that a model ends or has ended; None while that is unknown or over a month away."""
    if model not in SHUTDOWNS:
        return None
    last_day, successor = SHUTDOWNS[model]
    if today < last_day - WARN_BEFORE:
        return None
    when = f"shuts down on {last_day}" if today < last_day else f"was shut down on {last_day}"
    return (
        f"model {model} {when}; set OPENAI_MODEL to another, "
        f"e.g. {successor}, which knows no effort 'minimal'"
    )


def speech_warning(today: date) -> str | None:
    """Say that the service's voices end or have ended; None while that is over a month away."""
    if today < SPEECH_SHUTDOWN - WARN_BEFORE:
        return None
    return f"OpenAI's speech ends on {SPEECH_SHUTDOWN}; TTS_FALLBACK needs another voice"
