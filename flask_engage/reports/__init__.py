"""WHAT CAME OF IT: how many were active, what became of each message, how the rules do.

Left neighbours: every room that writes. Right neighbours: the edges, which show. Reads the
store only, in bounded queries that an index serves; changes nothing. No Flask here.
"""
