"""What a person does with a project: install, sync, lock, list, verify, compare with what is newer."""
