"""The HTTP API: FastAPI on loopback, errors as problem+json.

Owns routes and their documents; it only reads. May import: `service`, `errors`.
"""
