//! The service under test: the real program in a process of its own.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    cluster::PATIENCE,
    load::{Answer, call},
};

/// A service that runs until it is dropped.
pub struct Service {
    process: Child,
    pub port: u16,
    log: tempfile::NamedTempFile,
}

impl Service {
    /// Starts the service on a database and waits until it is ready. `settings` are further `ATTESTRY_…` variables; they win.
    pub async fn start(url: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut service = Self::spawn(url, settings)?;
        service.wait_until_ready().await?;
        Ok(service)
    }

    /// Starts the service and waits for nothing.
    pub fn spawn(url: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = tempfile::NamedTempFile::new()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestry"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ATTESTRY_")) {
            command.env_remove(name);
        }
        command
            .arg("serve")
            .env("ATTESTRY_LISTEN", format!("127.0.0.1:{port}"))
            .env("ATTESTRY_DATABASE_URL", url)
            .env("ATTESTRY_DEV_ISSUER", "1")
            .env("ATTESTRY_QUOTAS", "off")
            .env("ATTESTRY_MAX_CONNECTIONS", "32")
            .env("ATTESTRY_MOST_ITEMS_PER_INSTANCE", "20000000")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?);
        end_with_benchmark(&mut command);
        let process = command.spawn().context("starting the service")?;
        Ok(Self { process, port, log })
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Answer { status: 200, .. }) = call(self.port, "GET", "/readyz", None, None).await {
                return Ok(());
            }
            if self.process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the service did not start:\n{}", self.log_text());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The number of the process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// A benchmark that is killed leaves no such process behind.
pub fn end_with_benchmark(command: &mut Command) {
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}
