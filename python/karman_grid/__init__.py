"""karman-grid: open power orchestration for AI data centres.

Owns the public façade. Importing it must stay cheap (every command starts here), so what it offers
is looked up on first use.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        value = version("karman-grid")
        globals()["__version__"] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
