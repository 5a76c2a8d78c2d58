"""The language model and the voices: what is shut down, what is refused, what is slow."""

from importlib import import_module
from typing import Any, Final

from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped, warning
from voice_ai.server.doctor.situation import Situation

# Efforts at which a model thinks for seconds before its first word.
SLOW_EFFORTS: Final = ("medium", "high", "xhigh", "max")
# What the caller waits for with a model that thinks, and less than the 15 s that end in an apology.
PATIENCE_S: Final = 8.0
# Above it the caller has been silent for longer than people are.
IMPATIENT_S: Final = 1.5


def _openai(module: str) -> Any:
    """Import a table of the adapter's, none of which loads the SDK."""
    return import_module(f"voice_ai.providers.openai.{module}")


def _models(situation: Situation) -> list[str]:
    """Return the models in use, the fallback last."""
    settings = situation.settings
    if settings.llm != "openai":
        return []
    fallback = settings.openai_fallback_model or situation.model
    return list(
        dict.fromkeys([situation.model, *([fallback] if settings.has_fallback_model else [])])
    )


@check(
    "model",
    "From one day on the server ends at start, or every answer is an apology: the model was shut "
    "down.",
    "Set OPENAI_MODEL (and OPENAI_FALLBACK_MODEL) to a model that stays; "
    "developers.openai.com/api/docs/deprecations has the dates.",
)
def model(situation: Situation) -> Outcome:
    """Say which models are used, and which of them end."""
    models = _models(situation)
    if not models:
        return skipped("no language model is used")
    shutdown, today = _openai("shutdown"), situation.now.date()
    ends = [text for name in models if (text := shutdown.shutdown_warning(name, today))]
    is_over = any(
        name in shutdown.SHUTDOWNS and shutdown.SHUTDOWNS[name][0] <= today for name in models
    )
    if ends:
        return (failed if is_over else warning)("\n".join(ends))
    return ok(f"{' then '.join(models)}; no date of shutdown is known")


@check(
    "effort",
    "Every answer is an apology, and the log has 400 and `reasoning.effort`.",
    "Unset OPENAI_REASONING_EFFORT: the least that the model takes is then chosen. gpt-5 knows "
    "`minimal`, gpt-5.1 to 5.6 and gpt-6-luna `none` instead, the others of gpt-6 neither.",
)
def effort(situation: Situation) -> Outcome:
    """Look whether the model knows the effort that is asked for."""
    wanted = situation.settings.openai_reasoning_effort
    if situation.settings.llm != "openai":
        return skipped("no language model is used")
    least = _openai("effort").quickest_effort(situation.model)
    if wanted is None:
        asked = f"asked for effort {least!r}" if least else "left to its own effort"
        return ok(f"{situation.model} is {asked}")
    if wanted in ("minimal", "none") and least not in (None, wanted):
        return failed(f"{situation.model} knows no effort {wanted!r}; its least is {least!r}")
    return ok(f"{situation.model} is asked for effort {wanted!r}")


@check(
    "first-word",
    "The first answer of a call is slow, or the same question is asked of the model twice.",
    "Take a low OPENAI_REASONING_EFFORT; a model that has to think needs LLM_FIRST_TOKEN_S=8 and "
    "an agent with `fillers`.",
)
def first_word(situation: Situation) -> Outcome:
    """Judge how long the model may take against how long it is made to think."""
    settings = situation.settings
    if settings.llm != "openai":
        return skipped("no language model is used")
    wanted = settings.openai_reasoning_effort or ""
    thinks = wanted in SLOW_EFFORTS
    knows = _openai("effort").quickest_effort(situation.model) is not None
    limit_s = settings.llm_first_token_s
    told = f"{situation.model}, LLM_FIRST_TOKEN_S={limit_s:g}"
    if thinks and limit_s < PATIENCE_S:
        return warning(f"{told}: with effort {wanted!r} it is asked again before its first word")
    if thinks:
        return warning(f"{told}: with effort {wanted!r} callers wait seconds for each answer")
    if not knows and not wanted:
        return warning(
            f"{told}: how little it can think is not known, so nothing is asked for",
            "If answers are slow, set OPENAI_REASONING_EFFORT to the model's least.",
        )
    if limit_s < IMPATIENT_S:
        return warning(f"{told}: even a quick model takes longer now and then")
    has_fillers = bool(situation.agent and situation.agent.fillers)
    return ok(f"{told}; a silence before an answer is {'' if has_fillers else 'not '}bridged")


@check(
    "fallback-model",
    "The model's service is down, and every answer is an apology.",
    "Set OPENAI_FALLBACK_MODEL, or better OPENAI_FALLBACK_BASE_URL: another server than the first.",
)
def fallback_model(situation: Situation) -> Outcome:
    """Look whether the second model is another one than the first."""
    settings = situation.settings
    if settings.llm != "openai" or not settings.has_fallback_model:
        return skipped("no other language model stands in for the first")
    base = settings.openai_fallback_base_url or settings.openai_base_url
    name = settings.openai_fallback_model or situation.model
    if (name, base) == (situation.model, settings.openai_base_url):
        return warning(f"the fallback is the same as the first: {name} at the same server")
    if base == settings.openai_base_url:
        return ok(f"{name}, at the same server as the first")
    return ok(f"{name} at {base}")


@check(
    "fallback-voice",
    "The voice fails within a call, and the call ends with the goodbye.",
    "Set TTS_FALLBACK, e.g. `aura-2-helena-en,openai:alloy,local`.",
)
def fallback_voice(situation: Situation) -> Outcome:
    """Say who speaks when the voice fails."""
    settings = situation.settings
    if settings.tts == "local":
        return skipped("the voice is on this machine")
    if not settings.tts_fallback:
        return skipped("TTS_FALLBACK is not set: the voice is asked once more, and that is all")
    of_openai = any(name.startswith("openai:") for name in settings.tts_fallback)
    ends = _openai("shutdown").speech_warning(situation.now.date()) if of_openai else None
    if ends:
        return warning(ends)
    return ok(", then ".join(settings.tts_fallback))


CHECKS: Final[tuple[Check, ...]] = (model, effort, first_word, fallback_model, fallback_voice)
