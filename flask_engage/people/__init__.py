"""FACTS → PROFILES: what the host knows of its users, brought in and kept fresh.

Left neighbour: ``capture`` (what people did). Right neighbour: ``segments`` (which of them).
Functions take sessions, settings and the moment. No Flask here.
"""
