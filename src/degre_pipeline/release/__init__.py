"""Which registered version serves: aliases, their ledger, promotion and the way back."""
