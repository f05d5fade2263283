"""Getting people in and out: files of people become people, and people become files.

Reads and writes CSV and JSON Lines as streams, a batch at a time, so that memory doesn't grow
with a file. No Flask here; who may do it is the business of the edges.
"""
