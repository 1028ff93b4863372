"""From a spec to every object that it needs: PURE, one file per kind.

A builder returns None where its object is not wanted. No IO, no clock, no random: secrets that were drawn
or read come in with the inputs, so that the same inputs always give the same manifests.
"""
