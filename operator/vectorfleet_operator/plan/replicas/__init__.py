"""The replicas of one shard: from what they say to the next step of their configuration. PURE.

`view` is what one look saw, `steps` what may be done, `guards` why something may not be done now, `decide`
the order in which that is asked, `election` how a change goes on from the answers of those that it sealed.
"""
