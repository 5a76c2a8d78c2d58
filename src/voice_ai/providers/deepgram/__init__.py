"""Deepgram's services through its own SDK: Flux hears, Aura speaks. Importing this loads no SDK."""
