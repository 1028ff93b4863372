"""The manners that all our processes share: JSON logs, and one listener for health and metrics."""
