"""What turns skills into a model that knows them: synthesise, train, evaluate, score, self-test."""
