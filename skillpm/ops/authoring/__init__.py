"""What an author does with a skill: make, check, pack and publish it."""
