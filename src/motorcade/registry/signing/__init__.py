"""What the platform knows of signed commands: key lists as cars told them, and approvals."""
