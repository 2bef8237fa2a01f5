"""The live page, and what other programs ask for over HTTP: a sink with a server beside it."""
