"""A world on a virtual clock, for tests here and for authors of plugins."""
