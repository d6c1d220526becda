"""The service: opens, starts, stops and restarts what a site consists of.

Owns wiring (the one place that knows concrete classes), the state folder with its lock, and the
life of a run. May import: `config`, `engine`, `twin`, `plugins`, `errors`, `units`.
"""
