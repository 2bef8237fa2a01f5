"""States and events over MQTT: a sink with a client beside it, which Home Assistant discovers."""
