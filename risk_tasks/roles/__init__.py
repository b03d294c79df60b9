"""The processes of a system: each builds its parts, starts, reports readiness, drains and stops."""
