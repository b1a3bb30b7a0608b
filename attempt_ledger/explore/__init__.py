"""The views in Datasette: what the tables say of themselves, questions ready to ask, a server."""
