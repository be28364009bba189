"""The car's end of Tesla's vehicle-command protocol: its keys, whom it obeys, what it answers."""
