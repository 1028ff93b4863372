"""The further processes of `vectorfleet serve --workers`, for one interpreter uses one core.

The process that was started, the primary, alone writes the index's folder and accepts connections. It hands
those round; each worker answers what comes by its own, reads the index itself, and asks the primary to write.
Between the primary and each worker are two Unix sockets: one to talk (`control`), one for connections.
"""
