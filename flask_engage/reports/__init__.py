"""What came of it: who is active, what became of messages and rules. Reads the store only.

Each function takes ``(session, …, now)`` and asks a bounded number of questions, each of which
an index answers. On its left stands delivery, on its right the edges that show it.
"""
