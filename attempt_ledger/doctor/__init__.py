"""`doctor`: what is wrong with a ledger and all that belongs to it, and what to do about it."""
