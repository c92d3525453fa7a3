"""One module per command of maestroctl; each declares COMMAND."""
