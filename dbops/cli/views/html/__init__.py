"""Pages that stand alone: one file each, no address outside it, dark and light, for the keyboard and screen readers too.

`markup` escapes whatever comes in as text; `page` is the frame of every page; `layout` and `diagram` draw tables;
`inspection`, `plan`, `comparison` and `workload` are the pages.
"""
