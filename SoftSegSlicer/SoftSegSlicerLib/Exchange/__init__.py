"""Handing volumes and labels of the scene to the engine, as files; in small steps, so that nothing waits."""
