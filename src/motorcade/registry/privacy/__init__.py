"""What owners keep to themselves: zones in which apps hear no place, and how exact places are."""
