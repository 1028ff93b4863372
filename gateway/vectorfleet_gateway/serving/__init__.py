"""HTTP/1.1 on the gateway's own event loop: httptools parses, and every bound is set here.

`heads` is what a request says first, `bodies` what comes behind it, `exchanges` one request and its answer,
`connection` one caller's connection, `listening` all of them and the socket they come by.
"""
