"""What end users see of us in their browser, and in the pages behind links in mail.

One constant tag goes into the host's pages (`injection`); its script asks for the next
message and reports what became of it (`routes`, `static/engage.js`); `links` is where
links in mail lead. Left of here: delivery, which chooses and records. Nothing is right of
here but the wiring in `extension`. An edge: Flask is at home, SQL is not.
"""
