"""The control socket: typed requests, a table of routes, server and client."""
