"""A hub on this machine: the few requests by which the hub's client fetches a file and uploads a folder."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "1" * 40


class _Hub(BaseHTTPRequestHandler):
    """Answers like the hub; ``files`` is (repository, path) -> content, ``made`` what was asked for of repositories."""

    files: dict[tuple[str, str], bytes]
    made: list[dict[str, Any]]

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: object, code: int = 200) -> None:
        self._answer(code, json.dumps(value).encode(), Content_Type="application/json")

    def _file(self) -> None:
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        content = self.files.get((repository, rest.partition("/")[2]))
        known = any(name == repository for name, _ in self.files)
        if content is None:
            missing = "EntryNotFound" if known else "RepoNotFound"
            self._answer(404, X_Error_Code=missing, X_Error_Message=f"{missing} here")
            return
        self._answer(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET = _file

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            given = json.loads(body)
            self.made.append(given)
            self._json({"url": f"http://{self.headers['Host']}/{given.get('organization', 'me')}/{given['name']}"})
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            self._json({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]})
        elif "/commit/" in self.path:
            repository = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            for line in body.splitlines():
                row = json.loads(line)
                if row["key"] == "file":
                    self.files[repository, row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            url = f"http://{self.headers['Host']}/{repository}/commit/{COMMIT}"
            self._json({"commitUrl": url, "commitOid": COMMIT, "success": True})
        else:
            self._answer(200, b"{}")


@contextmanager
def hub() -> Iterator[tuple[str, dict[tuple[str, str], bytes], list[dict[str, Any]]]]:
    """Runs a hub; yields its address, its files and what was asked for of repositories."""
    handler = type("Hub", (_Hub,), {"files": {}, "made": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.files, handler.made  # type: ignore[attr-defined]
        server.shutdown()
