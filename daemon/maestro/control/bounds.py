"""Numbers that server and client agree on.

Apart from `protocol`, because the client must not pay for importing msgspec.
"""

VERSION = 1
MAX_REQUEST = 1 << 20  # bytes of a frame from a client
MAX_REPLY = 16 << 20  # bytes of a frame from the server
MAX_UNITS = 4096  # names or globs in one request
MAX_ID = 128  # characters of a request's id
