"""What auditors ask: who recorded what, when, on which facts, and what it changed."""
