"""Pass a command on to the process that waits at the socket named first, and end as it ends; starts without packages."""

import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    here = os.getcwd()  # noqa: PTH109  # pathlib takes longer to import than all of this
    words = [here, str(len(sys.argv) - 2), *sys.argv[2:], *(part for item in os.environ.items() for part in item)]
    body = "\0".join(words).encode("utf-8", "surrogateescape")
    socket.send_fds(server, [len(body).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(body)
    code = server.recv(16)
if not code:
    sys.exit("the command ended without an exit code")
os._exit(int(code))
