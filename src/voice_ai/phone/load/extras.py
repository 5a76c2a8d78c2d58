"""What only the load rig needs, which comes with the extra `load`."""

from voice_ai.errors import UsageError

try:
    import picows
    import psutil  # type: ignore[import-untyped]  # has no stubs
except ModuleNotFoundError as missing:
    raise UsageError(
        f"{missing.name} is not installed; a load needs it: pip install 'voice_ai[load]'"
    ) from missing

__all__ = ["picows", "psutil"]
