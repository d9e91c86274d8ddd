//! `sindico up` as the process that people start, in a folder that is gone afterwards, and commands as they type them.

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Any port, so that tests do not meet each other or a síndico that somebody uses.
pub(crate) const ANY_PORTS: [&str; 4] = ["--gateway-port", "0", "--api-port", "0"];

/// Far more than a start or a stop takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A folder for one síndico. Dropping it ends whatever is left and fails the test if something should not have been.
pub(crate) struct Home {
    folder: TempDir,
    dir: PathBuf,
}

/// A `sindico up` that is ready. Dropping it stops it.
pub(crate) struct Up<'a> {
    home: &'a Home,
    child: Child,
    pub(crate) endpoints: Value,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// One that every user may pass, since PostgreSQL does not run as root.
    pub(crate) fn new() -> Self {
        Self::below(0o755)
    }

    /// One whose parent has this mode.
    pub(crate) fn below(mode: u32) -> Self {
        let folder = TempDir::with_prefix("sindico-up-").expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).expect("its mode");
        let dir = folder.path().canonicalize().expect("there").join("home");
        Self { folder, dir }
    }

    /// A copy of the pet shop, to be changed.
    pub(crate) fn shop(&self) -> PathBuf {
        let (sample, shop) =
            (Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/petshop"), self.desk().join("shop"));
        for part in ["migrations", "seed"] {
            fs::create_dir_all(shop.join(part)).expect("made");
            for file in fs::read_dir(sample.join(part)).expect("the sample") {
                let file = file.expect("a file");
                fs::copy(file.path(), shop.join(part).join(file.file_name())).expect("copied");
            }
        }
        fs::copy(sample.join("app.toml"), shop.join("app.toml")).expect("copied");
        shop
    }

    /// What `--dir` names.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder for whatever a test writes.
    pub(crate) fn desk(&self) -> &Path {
        self.folder.path()
    }

    /// Where the clusters are, if there are any.
    pub(crate) fn clusters(&self) -> PathBuf {
        let clusters = self.dir.join("clusters");
        clusters.canonicalize().unwrap_or(clusters)
    }

    /// Starts `sindico up` and waits until it is ready.
    pub(crate) fn up(&self, words: &[&str]) -> Up<'_> {
        self.up_by(sindico(), words)
    }

    /// The same by whatever starts the binary.
    pub(crate) fn up_by(&self, starter: Command, words: &[&str]) -> Up<'_> {
        // One that was killed has left its file.
        let earlier = self.endpoints();
        let mut up = Up { home: self, child: self.spawn_by(starter, words), endpoints: Value::Null };
        let until = Instant::now() + PATIENCE;
        loop {
            match self.endpoints() {
                Some(endpoints) if Some(&endpoints) != earlier.as_ref() => {
                    up.endpoints = endpoints;
                    return up;
                }
                _ => {}
            }
            if let Some(status) = up.child.try_wait().expect("asked") {
                panic!("`sindico up` ended with {status}:\n{}", self.spoken());
            }
            assert!(Instant::now() < until, "`sindico up` is not ready after {PATIENCE:?}:\n{}", self.spoken());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts `sindico up` and waits for nothing.
    pub(crate) fn spawn(&self, words: &[&str]) -> Child {
        self.spawn_by(sindico(), words)
    }

    fn spawn_by(&self, mut command: Command, words: &[&str]) -> Child {
        let said = File::create(self.desk().join("up.out")).expect("a file");
        let too = said.try_clone().expect("the same file");
        command.arg("up").arg("--dir").arg(&self.dir).args(words);
        command.stdin(Stdio::null()).stdout(said).stderr(too).spawn().expect("the binary starts")
    }

    /// What the last `sindico up` said.
    pub(crate) fn spoken(&self) -> String {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        format!("{}{}", read(self.desk().join("up.out")), read(self.dir.join("sindico.log")))
    }

    /// `endpoints.json`, if it is there.
    pub(crate) fn endpoints(&self) -> Option<Value> {
        let text = fs::read_to_string(self.dir.join("endpoints.json")).ok()?;
        Some(serde_json::from_str(&text).expect("endpoints.json is JSON whenever it is there"))
    }

    /// A client command with `--dir`.
    pub(crate) fn sindico(&self, words: &[&str]) -> Said {
        run(sindico().arg("--dir").arg(&self.dir).args(words))
    }

    /// The same, as a program calls it.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        self.sindico(&[words, &["--json"]].concat()).json()
    }

    /// A superuser's query; lines of fields that are separated by `|`.
    pub(crate) fn superuser(&self, cluster: &str, database: &str, sql: &str) -> Vec<String> {
        let about = self.clusters().join(cluster);
        let read = |file: &str| fs::read_to_string(about.join(file)).expect(file).trim().to_owned();
        let dsn = format!("postgresql://sindico:{}@127.0.0.1:{}/{database}", read("password"), read("port"));
        psql(&dsn, sql).ok().lines().map(str::to_owned).collect()
    }

    /// The main processes of PostgreSQL here, by cluster.
    pub(crate) fn postmasters(&self) -> Vec<(String, i32)> {
        let mut found = Vec::new();
        for name in ["dedicated", "main"] {
            // Only the main process keeps its command line; its children show what they do instead, as soon as they run.
            let data = self.clusters().join(name).join("data");
            let own = |words: &[String]| words.windows(2).any(|pair| pair[0] == "-D" && Path::new(&pair[1]) == data);
            let all: Vec<Process> = processes().into_iter().filter(|it| own(&it.words)).collect();
            let mains = all.iter().filter(|it| all.iter().all(|other| other.pid != it.parent));
            found.extend(mains.map(|it| (name.to_owned(), it.pid)));
        }
        found
    }

    /// No process is left, or will be in a moment: the parts of an `initdb` that was killed end when they notice.
    pub(crate) fn is_deserted(&self) {
        let until = Instant::now() + Duration::from_secs(5);
        while !self.remains().is_empty() {
            assert!(Instant::now() < until, "processes {:?} go on:\n{}", self.remains(), self.spoken());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every process that works in these clusters or was started for them.
    pub(crate) fn remains(&self) -> Vec<i32> {
        let clusters = self.clusters();
        let text = clusters.to_string_lossy().into_owned();
        let ours = |process: &Process| {
            let inside = process.cwd.as_ref().is_some_and(|cwd| cwd.starts_with(&clusters));
            inside || process.words.iter().any(|word| word.contains(&text))
        };
        processes().into_iter().filter(ours).map(|process| process.pid).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let left = self.remains();
        let until = Instant::now() + PATIENCE;
        while !self.remains().is_empty() && Instant::now() < until {
            for pid in self.remains() {
                let _gone_already = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let clusters = self.clusters();
        if !clusters.starts_with(&self.dir) {
            let _reported_by_its_test = fs::remove_dir_all(&clusters);
            // Other instances may have theirs beside it.
            let _not_empty = clusters.parent().map(fs::remove_dir);
        }
        if !std::thread::panicking() {
            assert_eq!(left, Vec::<i32>::new(), "PostgreSQL outlived its síndico in {}", self.dir.display());
        }
    }
}

impl Up<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The gateway's port.
    pub(crate) fn port(&self) -> u64 {
        self.endpoints["gateway"]["port"].as_u64().expect("a port")
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(mut self, signal: Signal) -> ExitStatus {
        send(&self.child, signal);
        wait(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("{signal} did not end it:\n{}", self.home.spoken()))
    }

    /// Waits for it to end by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("it goes on:\n{}", self.home.spoken()))
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        send(&self.child, Signal::SIGTERM);
        if wait(&mut self.child, PATIENCE).is_none() {
            // What it leaves is ended with the folder.
            let _ended = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

impl Said {
    /// Standard output of a command that worked.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// The same, as JSON.
    pub(crate) fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// It failed with this code, saying all of this on standard error and nothing on standard output.
    pub(crate) fn fails(self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
    }
}

/// The binary, without what the environment of the test run says to it.
pub(crate) fn sindico() -> Command {
    alone(Command::new(env!("CARGO_BIN_EXE_sindico")))
}

/// The binary, where a small disk of its own is in the place of a folder. Only it, and what it starts, sees that disk.
pub(crate) fn sindico_with_disk(folder: &Path, size: &str) -> Command {
    let mut command = alone(Command::new("unshare"));
    let mount = format!("mount -t tmpfs -o mode=755,size={size} none \"$0\"");
    let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
    if user.is_root() {
        command.args(["--mount", "sh", "-c", &format!("{mount} && exec \"$@\"")]).arg(folder);
    } else {
        // Whoever may mount is root there; síndico is who it is.
        let back = format!("unshare --user --map-user={user} --map-group={group}");
        let words = format!("{mount} && exec {back} \"$@\"");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &words]).arg(folder);
    }
    command.arg(env!("CARGO_BIN_EXE_sindico"));
    command
}

fn alone(mut command: Command) -> Command {
    for name in ["SINDICO_API", "SINDICO_TOKEN", "SINDICO_CLUSTER_DSN", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Runs a program to its end, which has to come.
pub(crate) fn run(command: &mut Command) -> Said {
    let [out, err] = [(); 2].map(|()| tempfile::tempfile().expect("a file"));
    let same = |file: &File| file.try_clone().expect("the same file");
    let mut child =
        command.stdin(Stdio::null()).stdout(same(&out)).stderr(same(&err)).spawn().expect("the program starts");
    let status = wait(&mut child, PATIENCE).unwrap_or_else(|| {
        child.kill().and_then(|()| child.wait()).expect("ended");
        panic!("{command:?} does not end")
    });
    let [out, err] = [out, err].map(|mut file| {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("UTF-8");
        text
    });
    Said { code: status.code(), out, err }
}

/// What psql makes of a connection string and a statement.
pub(crate) fn psql(dsn: &str, sql: &str) -> Said {
    run(Command::new("psql").args([dsn, "-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql]))
}

/// The text of a field.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {value:#}"))
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().expect("a process id")), signal).expect("the signal is sent");
}

pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        match child.try_wait().expect("asked") {
            Some(status) => return Some(status),
            None if Instant::now() >= until => return None,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

struct Process {
    pid: i32,
    parent: i32,
    words: Vec<String>,
    cwd: Option<PathBuf>,
}

/// Every process that can be seen, except those that have ended and only wait to be reaped: these have no words.
fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("Linux");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let read = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        // proc(5): pid, the program's name in parentheses, state, parent.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        Some(Process { pid, parent, words, cwd: fs::read_link(format!("/proc/{pid}/cwd")).ok() })
    };
    pids.filter_map(read).collect()
}
