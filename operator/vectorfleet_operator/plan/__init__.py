"""From what is wanted and what is there to what is done: PURE.

`observed` is what was seen, `actions` what may be done, `guards` why something may not be done now,
`planner` puts them together. The same inputs always give the same plan.
"""
