"""What can be told of the state of a ledger's file, its surroundings and its keys, by reading."""
