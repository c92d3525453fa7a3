"""The keeper: parent of the manager and of every agent. Standard library only; knows nothing else of ours."""
