"""What a list is worth, and how lists compare: by evaluators, by random lists, by all lists, by truth."""
