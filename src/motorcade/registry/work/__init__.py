"""What people noted on items of the work queue: who took what on, and what they said."""
