"""The API's routes: one file for each resource, and the table that lists them all."""
