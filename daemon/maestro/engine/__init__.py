"""What must happen next: a function of the world, an event, the time and a drawn number. No clock, no chance, no I/O."""
