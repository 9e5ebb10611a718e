"""Tasks from seeds and rules: sample, phrase, dedupe, verify, split, profile. May import ``runtime`` and below."""
