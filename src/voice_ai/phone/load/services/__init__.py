"""Fake Flux, Aura and Responses services for many calls: lenient, fast, and taking times."""
