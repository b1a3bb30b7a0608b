"""The rules in force on a day: dated TOML, its schema, and the same rules as integers."""
