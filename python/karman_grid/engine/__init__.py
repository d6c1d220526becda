"""The engine as Python sees it: a handle on threads that never take the interpreter's lock.

Owns starting and stopping them and reading what they publish. May import: `_core`, `errors`.
"""

from karman_grid.engine.live import LiveHall, Note

__all__ = ["LiveHall", "Note"]
