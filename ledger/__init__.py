"""What happened: the facts, the store that keeps them, how they come in and go out."""
