"""Bulk translation: folders of text files, by several processes or a cluster, each file exactly once."""
