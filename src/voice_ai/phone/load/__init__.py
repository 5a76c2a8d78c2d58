"""Many calls at once: a caller that is cheap, services that answer at will, what was measured."""
