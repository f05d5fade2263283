"""What other services and files know of people, asked by a job and never in a request.

An enricher is asked about one person at a time with what it may be told of them, and nothing
else. Its answer is kept with an expiry; what failed is tried again later and later.
"""
