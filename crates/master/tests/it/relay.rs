//! A relay between master and agent that loses an answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Passes bytes on, except the answer to one request.
pub struct Relay {
    pub address: String,
    pub lost: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// In front of `port`. Of the first connection, what the server answers to the client's turn
    /// number `turn` is swallowed and the connection cut; every other connection is passed on.
    pub async fn losing(port: u16, turn: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lost = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let lost = lost.clone();
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let limit = (!lost.load(Ordering::SeqCst)).then_some(turn);
                    tokio::spawn(pass(client, server, limit, lost.clone()));
                }
            }
        });
        Self {
            address,
            lost,
            task,
        }
    }
}

async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    limit: Option<u32>,
    lost: Arc<AtomicBool>,
) {
    let (mut up, mut down) = ([0; 16 << 10], [0; 16 << 10]);
    let (mut turn, mut clients) = (0, false);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(n) if n > 0 => {
                    turn += u32::from(!clients);
                    clients = true;
                    server.write_all(&up[..n]).await.ok();
                }
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(n) if n > 0 => {
                    clients = false;
                    if limit == Some(turn) {
                        lost.store(true, Ordering::SeqCst);
                        return;
                    }
                    client.write_all(&down[..n]).await.ok();
                }
                _ => return,
            },
        }
    }
}
