"""What keeps personal data from whoever has no key, and destroys it for good."""
