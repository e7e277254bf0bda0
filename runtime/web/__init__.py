"""The web page and the HTTP interface of a running `vr-live`: `--web`.

Only `vr.runtime.web.server` and what it imports need starlette and uvicorn, the extra `web`.
"""
