"""The write-ahead log: what is acknowledged is in its files first, and a start reads it back."""
