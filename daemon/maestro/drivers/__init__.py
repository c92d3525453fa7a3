"""One module per outside thing. No driver knows another."""
