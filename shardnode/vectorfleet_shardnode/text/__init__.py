"""Text fields: the terms of a text, the rows of each term, and the score that terms give a row."""
