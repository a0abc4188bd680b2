"""What a user adds from outside: one of each kind, one file each."""
