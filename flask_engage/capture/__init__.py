"""REQUEST → FACTS: who is here, what they did, written down so that nothing is lost or doubled.

Left neighbour: the host's requests. Right neighbour: ``people`` (what we make of the facts).
A request only appends to a journal; a thread moves the journal to the database. Flask is
imported in :mod:`.hooks`, :mod:`.identity` and :mod:`.tracked`, nowhere else in this room.
"""
