"""Operations on this machine: agents, cache, configuration, plugins, schemas, searches."""
