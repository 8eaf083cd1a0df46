"""Exports of label tools, one module a tool. Each has `find(path)`, the files that make up an export, or nothing where
there is none; and `read(path)`, what they say."""
