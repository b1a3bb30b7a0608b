"""What a policy should answer, as data: reading case files, and comparing answers with them."""
