"""The settings: what is wrong with them, where they come from, who can read them, the agent."""

import difflib
import stat
from typing import Final

from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped, warning
from voice_ai.server.doctor.situation import ENV_FILE, Situation
from voice_ai.server.settings import Settings

# How alike a name and a setting's must be to be taken for a slip: one letter of eight.
SLIP: Final = 0.85
# Below, a caller's pause for thought ends the turn; above, each turn ends with a wait.
EOT_TIMEOUTS_MS: Final = (1000, 5000)
SURE_EOT_THRESHOLD: Final = 0.8
# Flux's lowest is 0.3; below this most drafts are of turns that go on, and are paid for.
RASH_EAGER_THRESHOLD: Final = 0.4
# A draft that begins so little before the turn's end gains nothing.
MIN_EAGER_GAIN: Final = 0.1


@check(
    "settings",
    "The server does not start, and prints a list of settings.",
    "Correct the named variables in `.env` or in the environment; the README has a table of all.",
)
def settings(situation: Situation) -> Outcome:
    """Tell everything that is wrong with the settings, at once."""
    if situation.problems:
        return failed("\n".join(situation.problems))
    n_given = sum(bool(situation.given(name.upper())) for name in Settings.model_fields)
    return ok(
        f"{n_given} of {len(Settings.model_fields)} settings are given, the rest are defaults"
    )


@check(
    "env-file",
    "A line in `.env` has no effect.",
    "Start the server in the folder of `.env`, write the names as in the README, and unset the "
    "variables of the environment: they win.",
)
def env_file(situation: Situation) -> Outcome:
    """Look for lines that nobody reads, and for those that the environment overrules."""
    if not situation.written:
        return skipped(f"there is no {ENV_FILE} in {situation.folder}, or nothing is in it")
    known = {name.upper() for name in Settings.model_fields}
    wrong = [_slip(name, known) for name in sorted(situation.written.keys() - known)]
    environ = {key.upper(): value for key, value in situation.environ.items()}
    wrong += [
        f"{name} is overruled by the environment, which has another value"
        for name, value in sorted(situation.written.items())
        if name in known and environ.get(name, value) != value
    ]
    wrong = [line for line in wrong if line]
    if wrong:
        return warning("\n".join(wrong))
    return ok(f"{len(situation.written)} lines of {ENV_FILE} are read")


def _slip(name: str, known: set[str]) -> str:
    """Say which setting a name was meant to be; nothing if it is somebody else's variable."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=SLIP)
    return f"{name} is no setting; {near[0]} is" if near else ""


@check(
    "env-file-mode",
    "Others who use this machine can read the keys.",
    "`chmod 600 .env`.",
)
def env_file_mode(situation: Situation) -> Outcome:
    """Look at who may read `.env`."""
    path = situation.folder / ENV_FILE
    if not path.is_file():
        return skipped(f"there is no {ENV_FILE}")
    mode = stat.S_IMODE(path.stat().st_mode)
    secrets = [name for name in situation.written if name.endswith(("_KEY", "_TOKEN", "_PASSWORD"))]
    if mode & (stat.S_IRGRP | stat.S_IROTH) and secrets:
        return warning(f"{ENV_FILE} has mode {mode:o}, and {len(secrets)} secrets in it")
    return ok(f"{ENV_FILE} has mode {mode:o}")


@check(
    "agent",
    "The server does not start, and names AGENT, a module or a file; or the wrong agent answers.",
    "Start in the folder of the agent's module; AGENT is `module:attribute` or a TOML file.",
)
def agent(situation: Situation) -> Outcome:
    """Say who answers, or why the agent cannot be loaded."""
    if situation.agent is None:
        return failed(situation.agent_problem)
    name = situation.settings.agent or "the front desk that ships (AGENT is not set)"
    n_tools = len(situation.agent.tools)
    return ok(f"{name}, language {situation.agent.language}, {n_tools} tools")


@check(
    "agent-answers",
    "To whatever is said, the agent answers “I heard: ...”.",
    "Give OPENAI_API_KEY (or OPENAI_BASE_URL with any key) for a language model, or the agent "
    "`answers` of its own.",
)
def agent_answers(situation: Situation) -> Outcome:
    """Look whether a scripted agent has anything to say."""
    if situation.settings.llm != "local":
        return skipped("a language model answers")
    if situation.agent is None:
        return skipped("the agent does not load")
    n_answers = len(situation.agent.answers)
    if not n_answers:
        return warning("no language model is set up, and the agent has no answers of its own")
    return ok(f"scripted: the agent has {n_answers} answers; no language model is set up")


@check(
    "transfers",
    "The agent says that it cannot put the caller through.",
    "Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN; PUBLIC_URL too, for callers to come back.",
)
def transfers(situation: Situation) -> Outcome:
    """Look whether what an agent's transfers need is there."""
    if situation.agent is None or not situation.agent.transfers:
        return skipped("the agent puts nobody through")
    names = ("twilio_account_sid", "twilio_auth_token", "public_url")
    missing = [name.upper() for name in names if getattr(situation.settings, name) is None]
    if missing:
        n_named = len(situation.agent.transfers)
        return failed(f"the agent has {n_named} transfers, and {', '.join(missing)} is not set")
    return ok(f"{len(situation.agent.transfers)} numbers, by Twilio's REST interface")


@check(
    "end-of-turn",
    "The agent takes long to answer, or answers into the caller's pauses.",
    "Long: EOT_THRESHOLD towards 0.6, EOT_TIMEOUT_MS towards 3000. Into pauses: both higher.",
)
def end_of_turn(situation: Situation) -> Outcome:
    """Judge when a turn is taken for over."""
    settings = situation.settings
    if settings.stt != "deepgram":
        return skipped("the local recogniser takes 500 ms of silence for the end of a turn")
    told = f"EOT_THRESHOLD={settings.eot_threshold:g}, EOT_TIMEOUT_MS={settings.eot_timeout_ms}"
    least, most = EOT_TIMEOUTS_MS
    if settings.eot_timeout_ms < least:
        return warning(f"{told}: a pause of {settings.eot_timeout_ms} ms ends the caller's turn")
    if settings.eot_timeout_ms > most or settings.eot_threshold > SURE_EOT_THRESHOLD:
        return warning(f"{told}: an unsure turn waits up to {settings.eot_timeout_ms / 1000:g} s")
    return ok(told)


@check(
    "eager",
    "EAGER_EOT_THRESHOLD is set and answers come no sooner, or the model's bill has doubled.",
    "Set EAGER_EOT_THRESHOLD between 0.4 and EOT_THRESHOLD less 0.1, with HISTORY=local; or unset "
    "it.",
)
def eager(situation: Situation) -> Outcome:
    """Judge the threshold of drafts."""
    settings = situation.settings
    threshold = settings.eager_eot_threshold
    if threshold is None:
        return skipped("EAGER_EOT_THRESHOLD is not set: nothing is drafted")
    if settings.history != "local":
        return failed("EAGER_EOT_THRESHOLD needs HISTORY=local: drafts cannot be taken back")
    if threshold < RASH_EAGER_THRESHOLD:
        return warning(f"{threshold:g} is low: most drafts are thrown away, and all are paid for")
    if settings.eot_threshold - threshold < MIN_EAGER_GAIN:
        return warning(f"{threshold:g} is close to EOT_THRESHOLD={settings.eot_threshold:g}")
    return ok(f"drafts from {threshold:g} on, spoken from {settings.eot_threshold:g} on")


CHECKS: Final[tuple[Check, ...]] = (
    settings,
    env_file,
    env_file_mode,
    agent,
    agent_answers,
    transfers,
    end_of_turn,
    eager,
)
