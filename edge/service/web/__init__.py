"""The live page and its HTTP API: a sink with a server."""
