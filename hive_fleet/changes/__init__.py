"""Changes of an agent, carried out: a deploy, a spawn, a removal, each with its recovery."""
