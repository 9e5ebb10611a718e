"""What concerns this machine: its agents, cache, configuration, plugins, schemas, searches."""
