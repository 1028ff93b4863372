"""What a shard may take of memory and disk: computed before it is taken, refused in time, and said aloud."""
