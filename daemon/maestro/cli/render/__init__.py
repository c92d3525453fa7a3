"""Views as text: pure functions of (view, now, width, colours)."""
