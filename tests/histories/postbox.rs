//! The mail server of the histories: it remembers the mails that left, and has bad days.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use attestry::mail::{Mail, MailError, Mailer, PreparedMail};

/// What the mail server does with a mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Server {
    #[default]
    Works,
    /// Takes none now, and says so.
    Busy,
    /// Takes none for good, and says so.
    Refuses,
    /// Takes it and hangs up without saying so. LC-NOTE-08
    HangsUp,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Works => "works",
            Self::Busy => "takes nothing for now",
            Self::Refuses => "refuses everything",
            Self::HangsUp => "takes mail and hangs up without an answer",
        })
    }
}

#[derive(Clone, Default)]
pub struct Postbox(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    server: Server,
    /// Message ids, in the order in which they left.
    left: Vec<String>,
}

impl Postbox {
    /// From now on the server is like this.
    pub fn is(&self, server: Server) {
        self.0.lock().unwrap().server = server;
    }

    /// Message ids of the mails that left, in their order.
    pub fn left(&self) -> Vec<String> {
        self.0.lock().unwrap().left.clone()
    }
}

#[async_trait]
impl Mailer for Postbox {
    async fn prepare(&self, mail: &Mail) -> Result<Box<dyn PreparedMail>, MailError> {
        // A mail server takes its time: here a worker can die before anything was sent.
        tokio::task::yield_now().await;
        Ok(Box::new(Prepared { postbox: self.clone(), message_id: mail.message_id.clone() }))
    }
}

struct Prepared {
    postbox: Postbox,
    message_id: String,
}

#[async_trait]
impl PreparedMail for Prepared {
    async fn hand_over(self: Box<Self>) -> Result<(), MailError> {
        // And here with the mail gone and its job open.
        tokio::task::yield_now().await;
        let server = {
            let mut inside = self.postbox.0.lock().unwrap();
            if matches!(inside.server, Server::Works | Server::HangsUp) {
                inside.left.push(self.message_id.clone());
            }
            inside.server
        };
        tokio::task::yield_now().await;
        match server {
            Server::Works => Ok(()),
            Server::Busy => Err(MailError::Temporary("the server is busy".into())),
            Server::Refuses => Err(MailError::Permanent("the server refuses".into())),
            Server::HangsUp => Err(MailError::Uncertain("the server hung up".into())),
        }
    }
}
