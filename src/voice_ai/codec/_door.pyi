"""The doors of the compiled modules; nothing here is for Python."""

# What other compiled modules may cimport; nothing for Python.
__pyx_capi__: dict[str, object]
