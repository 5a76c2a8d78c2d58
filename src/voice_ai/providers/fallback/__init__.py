"""Providers made of several: asked again, replaced, or followed by the next."""
