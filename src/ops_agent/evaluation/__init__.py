"""`ops-agent eval`: work items whose right outcome is known, run against a model or a recording, and compared."""
