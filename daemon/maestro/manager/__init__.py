"""Carries out what the engine decides. asyncio lives here."""
