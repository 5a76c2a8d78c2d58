"""Whole frames of Twilio's media streams: the text of a message to samples and back, a call each.

`MediaReader` takes what comes in; what it does not take is for `wire.twilio.parse_message`.
`MediaTap` takes it out of a websocket's octets. `MediaWriter` makes what goes out. None knows a
socket.
"""

from voice_ai.codec._frames_in import MediaReader
from voice_ai.codec._frames_out import MediaWriter
from voice_ai.codec._tap import MediaTap

__all__ = ["MediaReader", "MediaTap", "MediaWriter"]
