"""The manners that all our processes share: JSON logs, health and metrics, names before DNS."""
