"""Fetches what suites are made of, from PyPI, crates.io and Debian, in the versions that are written down here, into target/suites."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Debian's source, of which one program is built; the release only says where to look for it.
POSTGRESQL = ("postgresql-15", "bookworm", "15")


def run(*command, cwd=None, env=None):
    """What the command prints; its complaints are shown if it fails."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


class Store:
    """The folder, in which each thing is fetched once."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def install(self, *wanted):
        """Debian's packages, of those given as (package, what shows that it is there)."""
        missing = [package for package, proof in wanted if not (shutil.which(proof) or Path(proof).exists())]
        if not missing:
            return
        if not shutil.which("apt-get"):
            sys.exit(f"missing: {' '.join(missing)} (names of Debian's packages); install them by hand")
        print(f"installing from Debian's packages: {' '.join(missing)}", flush=True)
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        run(*as_root, "apt-get", "update", "--quiet=2")
        words = ["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends"]
        run(*as_root, "env", "DEBIAN_FRONTEND=noninteractive", *words, *missing)

    def python(self):
        """Python with the drivers, their frameworks and pytest."""
        home, wanted = self.folder / "python", HERE / "requirements.txt"
        stamp = home / "installed"
        if not stamp.exists() or stamp.read_text() != wanted.read_text():
            self.install(("python3-venv", "/usr/lib/python3/dist-packages/pip") if not can_make_environments() else ("", "sh"))
            print("installing Python's drivers from PyPI", flush=True)
            shutil.rmtree(home, ignore_errors=True)
            run(sys.executable, "-m", "venv", home)
            run(home / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", wanted)
            stamp.write_text(wanted.read_text())
        return home / "bin/python"

    def pypi(self, name, version):
        """The source of a package; its folder."""
        home = self.folder / f"{name.lower()}-{version}"
        if not home.exists():
            print(f"fetching the source of {name} {version} from PyPI", flush=True)
            words = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
            run(self.python().parent / "pip", *words, "--dest", self.folder, f"{name}=={version}")
            unpack(next(self.folder.glob(f"{name.lower()}-{version}.tar.*")), self.folder)
        return home

    def crate(self, name, version):
        """The source of a crate as cargo has it, copied."""
        home = self.folder / f"{name}-{version}"
        if not home.exists():
            print(f"fetching the source of {name} {version} from crates.io", flush=True)
            asking = self.folder / f"{name}-asking"
            (asking / "src").mkdir(parents=True, exist_ok=True)
            (asking / "src/lib.rs").write_text("")
            (asking / "Cargo.toml").write_text(
                f'[package]\nname = "asking"\nversion = "0.0.0"\n[workspace]\n[dependencies]\n{name} = "={version}"\n'
            )
            run("cargo", "vendor", "--quiet", "--versioned-dirs", "vendor", cwd=asking)
            shutil.copytree(asking / "vendor" / f"{name}-{version}", home)
            shutil.rmtree(asking)
        return home

    def debian(self, package, release, version):
        """The upstream source of a Debian package, by a list of sources of its own; its folder."""
        found = sorted(self.folder.glob(f"{package.rsplit('-', 1)[0]}-{version}*/"))
        if found:
            return found[-1]
        print(f"fetching the source of {package} from Debian", flush=True)
        place = self.folder / "debian"
        (place / "lists/partial").mkdir(parents=True, exist_ok=True)
        (place / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        (place / "deb.sources").write_text(
            f"Types: deb-src\nURIs: http://deb.debian.org/debian\nSuites: {release}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        )
        (place / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{place}/deb.sources";\nDir::Etc::sourceparts "-";\n'
            f'Dir::State::lists "{place}/lists";\nDir::Cache "{place}/cache";\nAPT::Sandbox::User "root";\n'
        )
        env = os.environ | {"APT_CONFIG": str(place / "apt.conf")}
        run("apt-get", "update", "--quiet=2", env=env)
        run("apt-get", "source", "--quiet=2", "--download-only", package, cwd=place, env=env)
        unpack(next(place.glob("*.orig.tar.*")), self.folder)
        return self.debian(package, release, version)


def can_make_environments():
    return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0


def unpack(archive, folder):
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
