"""The custom resources as frozen pydantic models, and the CRDs generated from them.

PURE: no IO, no clock, no random. The models are the single source: schema, validation, defaults and the
field reference in the documentation all come from here.
"""
