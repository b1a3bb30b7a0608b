"""The read model in Datasette: its tables described, questions ready to be asked, a server."""
