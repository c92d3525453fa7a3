"""Units from the files of other supervisors. Pure: texts in; unit files, and a remark on every line, out."""
