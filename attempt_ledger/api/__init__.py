"""The door over HTTP, `attempt-ledger serve`: spec section 8. Only it imports FastAPI."""
