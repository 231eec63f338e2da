//! The connection on which a client's login was passed on to the next server. The client's mail goes over it.

use tokio::sync::Mutex;

use super::{Client, Origin, Reply};
use crate::{
    mail::Mail,
    transport::{NextHop, SendError, Sending},
};

/// A logged-in connection with the next server.
pub(super) struct SubmitterConnection(Mutex<Client>);

impl SubmitterConnection {
    pub(super) fn new(client: Client) -> SubmitterConnection {
        SubmitterConnection(Mutex::new(client))
    }

    /// Whether the connection can no longer be used.
    pub(super) fn is_lost(&mut self) -> bool {
        self.0.get_mut().is_lost()
    }

    /// Closes the connection.
    pub(super) async fn quit(self) {
        self.0.into_inner().quit().await;
    }
}

impl NextHop for SubmitterConnection {
    /// One mail after the other; the first failure ends it.
    fn send_all<'a>(
        &'a self,
        mails: &'a [Mail],
        origin: Option<&'a Origin>,
    ) -> Sending<'a, Vec<Result<Reply, SendError>>> {
        Box::pin(async move {
            let mut client = self.0.lock().await;
            let mut results = Vec::new();
            for mail in mails {
                match client.send(mail, origin).await {
                    Ok(reply) => results.push(Ok(reply)),
                    Err(reply) if results.is_empty() => return Err(reply.into()),
                    Err(reply) => {
                        results.resize(mails.len(), Err(reply.into()));
                        break;
                    }
                }
            }
            Ok(results)
        })
    }

    fn send_each<'a>(&'a self, mail: &'a Mail, origin: Option<&'a Origin>) -> Sending<'a, Vec<Reply>> {
        Box::pin(async move { Ok(self.0.lock().await.send_each(mail, origin).await?) })
    }
}
