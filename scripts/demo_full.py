"""make demo-full: the demo as it runs for real: web server, worker, clock and Redis. What dies is started again; Ctrl-C
ends all of it.

Redis is one of its own on a free port, without files; everything else is as `manage.py demo` sets it up.
"""

import argparse
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CELERY = "{python} -m celery --quiet -A moonwalk {what} --loglevel warning"
CONFIG = """
[supervisord]
nodaemon = true
silent = true
logfile = {work}/supervisord.log
pidfile = {work}/supervisord.pid
{as_root}
"""
# Started again for as long as it takes: a database that is away for hours is no reason to give up.
PROGRAM = """
[program:{name}]
command = {command}
directory = {root}
autorestart = true
startsecs = 1
startretries = 1000000
stopwaitsecs = 60
killasgroup = true
redirect_stderr = true
stdout_logfile = /dev/fd/1
stdout_logfile_maxbytes = 0
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def programs(port: int, redis_port: int, work: str) -> dict[str, str]:
    """Name -> command line of each server."""
    python = sys.executable
    return {
        "redis": f"{shutil.which('redis-server')} --port {redis_port} --bind 127.0.0.1 --save '' --appendonly no "
        f"--dir {work} --logfile {work}/redis.log",
        "web": f"{python} -m gunicorn moonwalk.wsgi --config moonwalk/gunicorn.py --bind 127.0.0.1:{port}",
        "worker": CELERY.format(python=python, what="worker"),
        "clock": CELERY.format(python=python, what="beat"),
    }


def with_us() -> None:
    """In a child, before it begins: it is told to end when we are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def answers(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=5).status == 200
    except OSError:
        return False


def serve(port: int) -> int:
    """Run the servers until somebody ends us; supervisord's exit code."""
    with tempfile.TemporaryDirectory(prefix="moonwalk-") as work:
        redis_port = free_port()
        os.environ["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
        os.environ.setdefault("MOONWALK_SITE_URL", f"http://127.0.0.1:{port}")
        config = CONFIG.format(work=work, as_root="user = root" if os.getuid() == 0 else "")
        for name, command in programs(port, redis_port, work).items():
            config += PROGRAM.format(name=name, command=command.replace("%", "%%"), root=ROOT)
        file = Path(work, "supervisord.conf")
        file.write_text(config)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)]
        servers = subprocess.Popen(command, cwd=ROOT, start_new_session=True, preexec_fn=with_us)  # noqa: PLW1509
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: servers.terminate())
        said = False
        while servers.poll() is None:
            if not said and answers(port):
                print(f"\nMoonwalk is at http://127.0.0.1:{port}/ (Ctrl-C stops it)", flush=True)
                said = True
            try:
                servers.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
        return servers.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    if not shutil.which("redis-server"):
        print("Redis is not installed: on Debian, apt-get install redis-server.", file=sys.stderr)
        return 1
    if taken(port):
        print(f"Port {port} is taken: end what runs there, or name another one: make demo-full PORT=8001",
              file=sys.stderr)  # fmt: skip
        return 1
    made = subprocess.run([sys.executable, "manage.py", "demo"], cwd=ROOT, env=os.environ | {"REDIS_URL": ""})
    return made.returncode or serve(port)


if __name__ == "__main__":
    sys.exit(main())
