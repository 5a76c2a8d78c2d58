"""The run module: `python -m server`. Everything is in voice_ai.server."""

from voice_ai.server.cli import main

if __name__ == "__main__":
    main()
