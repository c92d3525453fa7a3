"""The keeper: parent of the manager and of every agent. Standard library only; imports nothing else of ours."""
