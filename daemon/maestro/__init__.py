"""Maestro: systemd for AI agents on one host."""

__version__ = "0.1.0"
