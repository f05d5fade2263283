"""Know your early users, and talk to the right ones at the right moment."""
