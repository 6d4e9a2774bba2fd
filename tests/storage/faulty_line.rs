//! A line between a client and a server that fails as lines do: nobody listens, it breaks in the middle of a request, it is slow.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole,
    /// Connections are refused, and those that were open are reset.
    Refused,
    /// Each connection is reset after it carried so many bytes to the server.
    Cut(usize),
    /// So many bytes to the server every ten milliseconds.
    Slow(usize),
}

/// A line that can be broken.
pub(crate) struct FaultyLine {
    pub(crate) endpoint: String,
    line: watch::Sender<Line>,
}

impl FaultyLine {
    /// A line to the server at this endpoint.
    pub(crate) async fn to(endpoint: &str) -> Self {
        let server: SocketAddr = endpoint.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, state) = watch::channel(Line::Whole);
        tokio::spawn(listen(listener, address, server, state));
        Self { endpoint: format!("http://{address}"), line }
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn listen(listener: TcpListener, address: SocketAddr, server: SocketAddr, mut line: watch::Receiver<Line>) {
    let mut listener = Some(listener);
    loop {
        if *line.borrow_and_update() == Line::Refused {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.unwrap().0,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            client = accepted => drop(tokio::spawn(carry(client, server, line.clone()))),
            changed = line.changed() => if changed.is_err() { return },
        }
    }
}

/// Carries a connection until one side ends it or the line breaks.
async fn carry(client: TcpStream, server: SocketAddr, mut line: watch::Receiver<Line>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    };
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let mut back = tokio::spawn(async move { tokio::io::copy(&mut server_in, &mut client_out).await });
    let (mut carried, mut buffer) = (0, vec![0; 16 << 10]);
    line.mark_unchanged();
    loop {
        let state = *line.borrow_and_update();
        if state == Line::Refused || matches!(state, Line::Cut(after) if carried >= after) {
            break;
        }
        let most = match state {
            Line::Cut(after) => (after - carried).min(buffer.len()),
            Line::Slow(bytes) => bytes,
            _ => buffer.len(),
        };
        let read = tokio::select! {
            read = client_in.read(&mut buffer[..most]) => read,
            // The end of either side ends the connection.
            _ = &mut back => return,
            _ = line.changed() => {
                carried = 0;
                continue;
            }
        };
        let Ok(count @ 1..) = read else { return };
        if server_out.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        carried += count;
        if matches!(state, Line::Slow(_)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    back.abort();
    for half in [client_in.as_ref(), server_out.as_ref()] {
        socket2::SockRef::from(half).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
