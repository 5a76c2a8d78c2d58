"""How little a model may be made to think: a caller waits for its first word on the phone."""

import re

# The least effort that each family takes; they refuse what they do not know. Sources:
# https://developers.openai.com/api/docs/models/gpt-5.6-luna and gpt-6-luna, openai-agents-python
# issue 2089; that of gpt-6 only Luna is known to take `none`: BerriAI/litellm-docs#1173.
QUICKEST = (
    (re.compile(r"gpt-5(-mini|-nano)?"), "minimal"),
    (re.compile(r"gpt-5\.\d+(-[a-z]+)*"), "none"),
    (re.compile(r"gpt-6-luna"), "none"),
    (re.compile(r"gpt-6(\.\d+)?(-[a-z]+)*"), "low"),
)
# A snapshot's day, behind its family's name.
_DAY = re.compile(r"-\d{4}-\d{2}-\d{2}\Z")


def quickest_effort(model: str) -> str | None:
    """Return the least `reasoning.effort` that a model is known to take; None sends none."""
    family = _DAY.sub("", model)
    return next((effort for names, effort in QUICKEST if names.fullmatch(family)), None)
