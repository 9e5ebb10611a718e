"""Operations on a project: install, sync, lock, list, verify, outdated."""
