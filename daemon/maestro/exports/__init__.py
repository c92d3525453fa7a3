"""Files for other supervisors from units. Pure: a loaded unit in; a text, and a remark on every option that it sets, out."""
