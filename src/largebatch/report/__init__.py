"""The study on one self-contained HTML page: verdict, exhibits, settings, provenance.

`page.render` makes it. Nothing is imported here: the Snakefile wants the titles only.
"""
