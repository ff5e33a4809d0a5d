//! One request on one connection: sent, and the head of its answer awaited.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::{Method, StatusCode, http::request::Parts};

use super::{
    answer_head::{self, Head},
    body::Outgoing,
    connection::Connection,
    download::Download,
    pool::{Failure, Fate},
    upload::{Broken, Upload},
};

/// Sends a request and waits for the head of its answer, until `answer_by` once the request is sent.
///
/// A body that comes from the client is taken when the head was written: after a failure that is `Unsent` it is still whole.
pub(super) async fn exchange(
    mut connection: Box<Connection>,
    head: &Parts,
    body: &mut Outgoing,
    answer_by: u64,
) -> Result<(Head, Download), Failure> {
    let upload = Upload::begin(&mut connection, head, body);
    if let Outgoing::Stream(stream) = body {
        // The wait for an answer begins when the client has sent everything.
        stream.then_answer_within(Arc::clone(connection.watch()));
    } else {
        connection.watch().read_by(answer_by);
    }
    let mut sending = Sending { connection, upload: Some(upload) };
    let answered = std::future::poll_fn(|cx| sending.poll(cx, &head.method, body)).await;
    let Sending { connection, mut upload } = sending;
    connection.watch().no_read_limit();
    match answered {
        Ok(mut head) => {
            if let Some(upload) = &mut upload {
                upload.answer_has_come();
            }
            // It answered a head that was not even written: nothing else goes over this connection.
            if matches!(body, Outgoing::Stream(_)) {
                upload = None;
                head.keeps = false;
            }
            let download = Download::new(connection, upload, head.framing, head.keeps);
            Ok((head, download))
        }
        Err(Lost::ToClient) => Err(Failure { fate: Fate::ClientGone, cause: "the client's body broke off".to_owned() }),
        Err(Lost::Instance(cause)) => Err(Failure { fate: connection.fate(), cause }),
    }
}

struct Sending {
    connection: Box<Connection>,
    /// Absent once all is written, or cannot be.
    upload: Option<Upload>,
}

enum Lost {
    ToClient,
    Instance(String),
}

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>, method: &Method, body: &mut Outgoing) -> Poll<Result<Head, Lost>> {
        let watch = self.connection.watch();
        watch.wakes(cx.waker());
        if watch.is_overdue() {
            return Poll::Ready(Err(Lost::Instance("no answer in time".to_owned())));
        }
        self.poll_upload(cx, body)?;
        loop {
            match ready!(self.connection.poll_receive(cx, 0)) {
                Ok(0) => return Poll::Ready(Err(Lost::Instance("the connection was closed".to_owned()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Lost::Instance(spoken(&error)))),
            }
            // Answers on the way, such as `103 Early Hints`, are not passed on.
            while let Some(head) =
                answer_head::take(&mut self.connection.received, method).map_err(|why| Lost::Instance(why.to_owned()))?
            {
                if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok(head));
                }
            }
        }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>, body: &mut Outgoing) -> Result<(), Lost> {
        while let Some(upload) = &mut self.upload {
            match upload.poll(&mut self.connection, cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {
                    if !upload.follow(body) {
                        self.upload = None;
                    }
                }
                Poll::Ready(Err(Broken::Client)) => return Err(Lost::ToClient),
                Poll::Ready(Err(Broken::Instance(error))) => {
                    if self.connection.is_unsent() {
                        return Err(Lost::Instance(spoken(&error)));
                    }
                    // An instance may refuse a body by an answer, and close: the answer may lie here already.
                    self.connection.forget_unsent();
                    self.upload = None;
                }
            }
        }
        Ok(())
    }
}

/// `connection reset` rather than `Connection reset by peer (os error 104)`.
pub(super) fn spoken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::BrokenPipe => "the connection was closed".to_owned(),
        _ => error.to_string(),
    }
}
