"""The registry of networks, and those that no library has."""
