"""The adapters: each turns one port into calls to something real."""
