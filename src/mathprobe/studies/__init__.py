"""Studies: the only place where a domain meets the machine."""
