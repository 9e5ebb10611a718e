"""Operations of an author: make, check, pack and publish a skill."""
