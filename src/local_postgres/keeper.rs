//! The keeper: a small process between whoever starts the cluster and the PostgreSQL server.
//!
//! It is the server's parent, so it knows which process to stop. It stops it when nobody holds the users lock any more, which
//! also covers users that were killed, and it ends when the server ends. It lives in a session of its own together with the
//! server: Ctrl-C in a terminal reaches neither, and the service can finish its work before it lets go of its database.
//! Should the keeper itself be killed, the kernel tells the server to stop (on Linux).
//!
//! It is a fork of the calling process that never calls `exec`, made where the standard library is about to turn its child
//! into the server. Between a fork of a process with threads and `exec`, only what is safe in a signal handler may be called:
//! nothing in [`keep`] allocates, locks or returns.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, setsid};

/// How often the keeper looks whether the cluster is in use.
const GLANCE: Duration = Duration::from_millis(200);

/// How long a server may take over a fast shutdown before it is told to stop at once and recover at the next start.
const SHUTDOWN_GLANCES: u32 = 300;

/// The lock files a keeper holds open. Both must be opened for it alone, for a lock belongs to an opened file.
pub(super) struct Locks {
    /// Whoever uses the cluster holds it, shared. The keeper tries to take it.
    pub(super) users: File,
    /// The keeper holds it, shared, for as long as it lives.
    pub(super) keeper: File,
}

/// Runs `server` under a keeper. What comes back is the keeper, which ends when the server has ended.
///
/// # Errors
/// When the server program cannot be run.
pub(super) fn spawn(mut server: Command, locks: Locks, linger: Duration) -> io::Result<Child> {
    locks.keeper.lock_shared()?;
    let linger_glances = u32::try_from(linger.as_millis() / GLANCE.as_millis()).unwrap_or(u32::MAX);
    let divide = move || -> io::Result<()> {
        setsid()?;
        let keeper = getpid();
        // SAFETY: this process has one thread (it was forked a moment ago), and both sides keep to calls that are safe here.
        match unsafe { fork()? } {
            ForkResult::Parent { child } => keep(child, &locks, linger_glances),
            ForkResult::Child => stop_with(keeper),
        }
    };
    // SAFETY: `divide` calls only what is safe after a fork; it captured all it needs before.
    unsafe { server.pre_exec(divide) };
    server.spawn()
}

/// Has the kernel tell the process that becomes the server to shut down fast when `keeper` is gone.
#[cfg(target_os = "linux")]
fn stop_with(keeper: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGINT)?;
    // It may be gone already, and then nobody would tell.
    if nix::unistd::getppid() == keeper { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
}

#[cfg(not(target_os = "linux"))]
fn stop_with(_keeper: Pid) -> io::Result<()> {
    Ok(())
}

/// Does a keeper watch over the server? A server without one is about to stop. Call it under the start lock, with a file opened
/// for this question.
pub(super) fn is_alive(keeper: &File) -> io::Result<bool> {
    match keeper.try_lock() {
        Ok(()) => keeper.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn keep(server: Pid, Locks { users, keeper }: &Locks, linger_glances: u32) -> ! {
    become_independent(users.as_raw_fd(), keeper.as_raw_fd());
    let mut idle_glances = 0;
    loop {
        if has_ended(server) {
            exit();
        }
        idle_glances = match users.try_lock() {
            Ok(()) if idle_glances == linger_glances => break,
            Ok(()) => {
                let _released = users.unlock();
                idle_glances + 1
            }
            Err(_) => 0,
        };
        std::thread::sleep(GLANCE);
    }
    // From here on the lock is ours: who comes now waits until we are gone, and then starts the server again.
    let _asked = kill(server, Signal::SIGINT);
    for _ in 0..SHUTDOWN_GLANCES {
        if has_ended(server) {
            exit();
        }
        std::thread::sleep(GLANCE / 10);
    }
    let _asked = kill(server, Signal::SIGQUIT);
    let _ended = waitpid(server, None);
    exit()
}

/// Lets go of what came with the fork: handlers that speak to threads which are not here, and every open file but the locks,
/// among them the pipe on which the standard library waits for the server program to begin.
fn become_independent(one_lock: RawFd, other_lock: RawFd) {
    for (number, disposition) in [
        (Signal::SIGINT, SigHandler::SigIgn),
        (Signal::SIGHUP, SigHandler::SigIgn),
        (Signal::SIGTERM, SigHandler::SigDfl),
        (Signal::SIGCHLD, SigHandler::SigDfl),
    ] {
        // SAFETY: no handler of ours is installed, only the system's own dispositions.
        let _previous = unsafe { signal(number, disposition) };
    }
    #[cfg(target_os = "linux")]
    let _named = nix::sys::prctl::set_name(c"postgres-keeper");
    let (lower, upper) = (one_lock.min(other_lock), one_lock.max(other_lock));
    close_all_between(3, lower - 1);
    close_all_between(lower + 1, upper - 1);
    close_all_between(upper + 1, RawFd::MAX);
}

#[cfg(target_os = "linux")]
fn close_all_between(first: RawFd, last: RawFd) {
    if first <= last {
        // SAFETY: a plain system call; whatever owned these descriptors lives in the process we were forked from.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

#[cfg(not(target_os = "linux"))]
fn close_all_between(first: RawFd, last: RawFd) {
    for descriptor in first..=last.min(1024) {
        // SAFETY: as above; a number that is not open is refused without effect.
        unsafe { libc::close(descriptor) };
    }
}

fn has_ended(server: Pid) -> bool {
    !matches!(waitpid(server, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
}

fn exit() -> ! {
    // SAFETY: leaves without running anything that belongs to the process we were forked from.
    unsafe { libc::_exit(0) }
}
