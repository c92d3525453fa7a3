"""Maestro beside the supervisors people run today, on the same work in the same run: `bin/bench`."""
