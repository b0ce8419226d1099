//! The rivals: two frameworks that make an API out of a database, each installed into the target directory and run as its documentation
//! recommends for production. What they consist of is in `benches/service/rivals`.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::json;
use uuid::Uuid;

use crate::{
    cluster::PATIENCE,
    ground::Ground,
    load::{Answer, call},
    service::end_with_benchmark,
};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framework {
    /// GraphQL, on Node.js.
    PostGraphile,
    /// REST, under gunicorn.
    Django,
}

impl Framework {
    pub fn name(self) -> &'static str {
        match self {
            Self::PostGraphile => "PostGraphile",
            Self::Django => "Django REST framework",
        }
    }

    /// What is asked whether it is ready.
    fn probe(self) -> (&'static str, &'static str) {
        match self {
            Self::PostGraphile => ("POST", "/graphql"),
            Self::Django => ("GET", "/instances/00000000-0000-0000-0000-000000000000/decisions"),
        }
    }

    /// Its files.
    fn sources(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/service/rivals").join(match self {
            Self::PostGraphile => "postgraphile",
            Self::Django => "django",
        })
    }

    /// Where it is installed.
    fn directory(self) -> anyhow::Result<PathBuf> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("the target directory")?;
        Ok(target.join("rivals").join(self.sources().file_name().context("a directory without a name")?))
    }

    /// Installs exactly the packages that are pinned, unless they are there; answers where.
    ///
    /// # Errors
    /// When npm or Python is missing, or the registry is out of reach.
    fn install(self) -> anyhow::Result<PathBuf> {
        let (sources, directory) = (self.sources(), self.directory()?);
        let pinned = match self {
            Self::PostGraphile => "package-lock.json",
            Self::Django => "requirements.txt",
        };
        let wanted = fs::read(sources.join(pinned)).with_context(|| pinned.to_owned())?;
        // Written last: it tells of an installation that was finished.
        let installed = directory.join("installed");
        if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(directory);
        }
        eprintln!("  installing {} into {}", self.name(), directory.display());
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        match self {
            Self::PostGraphile => {
                for file in ["package.json", "package-lock.json"] {
                    fs::copy(sources.join(file), directory.join(file))?;
                }
                let mut npm = Command::new("npm");
                npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
                finish(npm.current_dir(&directory), "npm (it comes with Node.js)")?;
            }
            Self::Django => {
                finish(Command::new("python3").args(["-m", "venv"]).arg(&directory), "python3 with its module venv")?;
                let mut pip = Command::new(directory.join("bin/python"));
                pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
                finish(pip.arg(sources.join(pinned)), "pip")?;
            }
        }
        fs::write(installed, wanted)?;
        Ok(directory)
    }

    /// What starts it on a port.
    fn command(self, port: u16, connections: usize) -> anyhow::Result<Command> {
        let (sources, directory) = (self.sources(), self.install()?);
        match self {
            Self::PostGraphile => {
                // Beside its packages, where Node.js looks for them.
                let server = directory.join("server.mjs");
                fs::copy(sources.join("server.mjs"), &server)?;
                // A package of npm, too: the oldest that PostGraphile supports is newer than what many systems have.
                let mut command = Command::new(directory.join("node_modules/.bin/node"));
                command
                    .arg(server)
                    .env("NODE_ENV", "production")
                    .env("GRAPHILE_ENV", "production")
                    .env("PORT", port.to_string())
                    .env("CONNECTIONS", connections.to_string());
                Ok(command)
            }
            Self::Django => {
                let mut command = Command::new(directory.join("bin/python"));
                command
                    .args(["-m", "gunicorn", "--config", "gunicorn.conf.py"])
                    .current_dir(sources)
                    .env("PYTHONDONTWRITEBYTECODE", "1")
                    .env("DJANGO_SETTINGS_MODULE", "settings")
                    .env("BIND", format!("127.0.0.1:{port}"));
                Ok(command)
            }
        }
    }
}

/// Runs a program to its end.
fn finish(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let output = match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("{what} is needed to install a rival: {error}"),
        output => output.with_context(|| what.to_owned())?,
    };
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{what} failed:\n{told}{errors}");
    Ok(())
}

/// A rival that runs, with all its processes, until it is dropped.
pub struct Rival {
    pub framework: Framework,
    process: Child,
    pub port: u16,
    log: tempfile::NamedTempFile,
}

impl Rival {
    /// Installs a rival, starts it on a database and waits until it answers. It connects as the role the service works as.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub async fn start(framework: Framework, ground: &Ground<'_>, connections: usize) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = tempfile::NamedTempFile::new()?;
        let mut command = framework.command(port, connections)?;
        command
            .env("PGHOST", ground.cluster.socket_directory())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", &ground.database)
            .env("PGOPTIONS", "-c role=attestry_service -c search_path=rivals -c jit=off")
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?)
            // All its processes are ended together.
            .process_group(0);
        for name in ["PGPORT", "PGPASSWORD", "PGSERVICE", "DATABASE_URL", "NODE_OPTIONS", "GUNICORN_CMD_ARGS"] {
            command.env_remove(name);
        }
        // Its other processes end when the first one has gone.
        end_with_benchmark(&mut command);
        let process = command.spawn().with_context(|| format!("starting {}", framework.name()))?;
        let mut rival = Self { framework, process, port, log };
        rival.wait_until_ready().await?;
        Ok(rival)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (method, path) = self.framework.probe();
        let body = (method == "POST").then(|| json!({ "query": "{ __typename }" }));
        // Nobody's tenant: no row is seen.
        let tenant = Uuid::nil().to_string();
        loop {
            let answer = call(self.port, method, path, Some(&tenant), body.as_ref()).await;
            if let Ok(Answer { status: 200, .. }) = answer {
                return Ok(());
            }
            if self.process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{} did not start:\n{}", self.framework.name(), self.log_text());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The number of its first process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.process.id()) {
            // SAFETY: a signal to the group that was made for this rival and whose leader was not waited for.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        let _reaped = self.process.wait();
    }
}
