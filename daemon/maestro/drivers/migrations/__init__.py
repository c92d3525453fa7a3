"""The store's schema, step by step. A landed step is never edited; the next one gets the next number."""
