"""As whom the servers run: PostgreSQL refuses root, so root starts them as another user."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.refusal import Refused

USERS = ("postgres", "nobody")

# Tried in this order where the user cannot reach the files (a project below /root): the right to pass
# through closed directories and nothing else about root. Containers often lack the first and have the second.
CAPABILITIES = ("dac_read_search", "dac_override")


@dataclass(frozen=True, slots=True)
class Owner:
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def popen(self, command: Sequence[str | Path], *, log: Path, cwd: Path) -> subprocess.Popen[bytes]:
        """Starts a server in a session of its own: a terminal's Ctrl-C reaches only us, who stop it last."""
        with log.open("ab") as output:
            return subprocess.Popen(
                [*self.prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=environment(),
                start_new_session=True,
                user=self.uid if self._switches else None,
                group=self.gid if self._switches else None,
                extra_groups=() if self._switches else None,
            )

    def run(self, command: Sequence[str | Path], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=cwd,
            env=environment(),
            start_new_session=True,
            check=False,
            user=self.uid if self._switches else None,
            group=self.gid if self._switches else None,
            extra_groups=() if self._switches else None,
        )

    @property
    def _switches(self) -> bool:
        return not self.prefix and self.uid != os.geteuid()

    def give(self, path: Path, mode: int) -> None:
        """Makes the directory and gives it, with all it holds, to this user."""
        path.mkdir(parents=True, exist_ok=True)
        here = path.stat()
        if here.st_uid != self.uid:
            if os.geteuid() != 0:
                raise Refused(f"{path} belongs to user {here.st_uid}: start as that user, or set DATA_DIR")
            for folder, folders, names in os.walk(path, topdown=False):
                for name in (*folders, *names):
                    os.chown(os.path.join(folder, name), self.uid, self.gid, follow_symlinks=False)
            os.chown(path, self.uid, self.gid)  # last: it says that all the rest is done
        if here.st_mode & 0o777 != mode:
            path.chmod(mode)


def environment() -> dict[str, str]:
    """Ours without what would change PostgreSQL's behaviour from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def find_owner(folder: Path, programs: Sequence[Path]) -> Owner:
    """Who can run the programs on the folder: found by trying, since ACLs and mounts have their say."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid())
    plain = _someone(folder)
    for owner in (plain, *(_with(plain, capability) for capability in CAPABILITIES)):
        if all(_reaches(owner, folder, program) for program in programs):
            return owner
    raise Refused(
        f"PostgreSQL refuses to run as root, and user {plain.uid} can't reach {folder} or {programs[0]}: "
        "start as another user, set DATA_DIR to a directory like /var/lib/appointments, or set DATABASE_URL"
    )


def _someone(folder: Path) -> Owner:
    for past in (folder / "postgres", folder / "redis", folder):
        if past.exists() and (stat := past.stat()).st_uid != 0:
            return Owner(stat.st_uid, stat.st_gid)
    for name in USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(user.pw_uid, user.pw_gid)
    raise Refused("PostgreSQL refuses to run as root and there is no user 'nobody': start as another user")


def _with(owner: Owner, capability: str) -> Owner:
    identity = ("--reuid", str(owner.uid), "--regid", str(owner.gid), "--clear-groups")
    rights = ("--inh-caps", f"+{capability}", "--ambient-caps", f"+{capability}")
    return Owner(owner.uid, owner.gid, ("setpriv", *identity, *rights))


def _reaches(owner: Owner, folder: Path, program: Path) -> bool:
    try:
        answer = owner.run(["sh", "-c", 'cd "$1" && exec "$0" --version', program, folder], cwd=Path("/"))
    except OSError:
        return False
    return answer.returncode == 0
