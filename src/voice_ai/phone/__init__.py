"""A telephone for people and for tests: places a call to a server as Twilio would.

`place_call` goes through one call; recordings come in by `read_recording`, typed words by
`tones.encode`, and what was said and heard goes out by `write_stereo`.
"""

from voice_ai.phone.caller import place_call
from voice_ai.phone.plan import CallPlan, CallResult, Progress, TurnTimes
from voice_ai.phone.recording import read_recording, write_stereo
from voice_ai.phone.report import as_json, as_text, progress_line

__all__ = [
    "CallPlan",
    "CallResult",
    "Progress",
    "TurnTimes",
    "as_json",
    "as_text",
    "place_call",
    "progress_line",
    "read_recording",
    "write_stereo",
]
