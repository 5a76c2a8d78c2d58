"""Calls kept in a SQLite file, off the media path: what was said for a while, timings longer.

A call's changes go from its record (`watching.py`) through a bounded place in memory (`pending.py`)
to one thread (`writer.py`), which writes all that has changed by then in one transaction.
"""

from voice_ai.server.archive.watching import Archive, open_archive

__all__ = ["Archive", "open_archive"]
