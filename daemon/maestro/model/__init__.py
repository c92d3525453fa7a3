"""What a unit is: text in, a `Unit` or `Problem`s out. Pure."""
