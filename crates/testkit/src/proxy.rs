//! A proxy before an HTTP server that breaks chosen requests in chosen ways.
//!
//! One request per connection: the server is asked to close after its answer, so the end of an
//! answer is the end of the stream and nothing in it has to be understood.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `PUT`, `POST` …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Bytes of its body.
    pub length: u64,
}

impl Request {
    /// The value of a header; its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and body; the server never sees it.
    Answer(u16, String),
    /// It is answered with this text, head and all; the server never sees it.
    Raw(String),
    /// The line breaks after so many bytes of its body; the server never sees it.
    Cut(u64),
    /// The server does it, but the line breaks before the answer.
    LoseAnswer,
    /// The line breaks after so many bytes of the answer, its head included.
    CutAnswer(u64),
    /// It waits this long before the server sees it.
    Delay(Duration),
    /// It is read and never answered, as long as the proxy lives.
    Hang,
    /// The server sees its body with one bit of the last byte turned.
    Corrupt,
}

type Rule = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

/// A running proxy; stopped when dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    rule: Mutex<Rule>,
    seen: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

impl Proxy {
    /// Passes everything on to a port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start(target_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind the proxy");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            target: (Ipv4Addr::LOCALHOST, target_port).into(),
            rule: Mutex::new(Box::new(|_| None)),
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accept = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accept.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accept);
                // A broken line is what this is for.
                thread::spawn(move || client.and_then(|client| shared.serve(client)));
            }
        });
        Self { port, shared }
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on this decides what happens to each request.
    ///
    /// # Panics
    /// When an earlier rule panicked.
    pub fn set(&self, rule: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        *self.shared.rule.lock().expect("rules do not panic") = Box::new(rule);
    }

    /// The next `times` requests that `matches` suffer `fault`, everything else passes.
    pub fn fail(
        &self,
        mut times: usize,
        matches: impl Fn(&Request) -> bool + Send + 'static,
        fault: Fault,
    ) {
        self.set(move |request| {
            let hit = times > 0 && matches(request);
            times -= usize::from(hit);
            hit.then(|| fault.clone())
        });
    }

    /// Every request so far, in the order of their coming.
    ///
    /// # Panics
    /// Never in practice: nothing panics under this lock.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().expect("no holder panics").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut client = client;
        let Some((request, head)) = read_head(&mut reader, &mut client)? else {
            return Ok(());
        };
        self.seen
            .lock()
            .expect("no holder panics")
            .push(request.clone());
        let fault = (self.rule.lock().expect("rules do not panic"))(&request);
        let mut body = reader.take(request.length);
        match fault {
            Some(Fault::Answer(status, text)) => {
                io::copy(&mut body, &mut io::sink())?;
                write!(
                    client,
                    "HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                )
            }
            Some(Fault::Raw(text)) => {
                io::copy(&mut body, &mut io::sink())?;
                client.write_all(text.as_bytes())
            }
            Some(Fault::Cut(after)) => {
                io::copy(&mut body.take(after), &mut io::sink())?;
                // Unread bytes turn the close into a reset.
                client.shutdown(Shutdown::Both)
            }
            Some(Fault::Hang) => {
                io::copy(&mut body, &mut io::sink())?;
                while !self.stopped.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            }
            Some(Fault::Delay(wait)) => {
                thread::sleep(wait);
                io::copy(&mut self.ask(&head, body)?, &mut client).map(drop)
            }
            Some(Fault::LoseAnswer) => {
                io::copy(&mut self.ask(&head, body)?, &mut io::sink())?;
                client.shutdown(Shutdown::Both)
            }
            Some(Fault::CutAnswer(after)) => {
                let mut answer = self.ask(&head, body)?;
                io::copy(&mut (&mut answer).take(after), &mut client)?;
                io::copy(&mut answer, &mut io::sink())?;
                client.shutdown(Shutdown::Both)
            }
            Some(Fault::Corrupt) => {
                let mut bytes = Vec::new();
                body.read_to_end(&mut bytes)?;
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                io::copy(&mut self.ask(&head, bytes.as_slice())?, &mut client).map(drop)
            }
            None => io::copy(&mut self.ask(&head, body)?, &mut client).map(drop),
        }
    }

    /// Passes a request on; the answer ends with the stream.
    fn ask(&self, head: &str, mut body: impl Read) -> io::Result<TcpStream> {
        let mut server = TcpStream::connect(self.target)?;
        server.write_all(head.as_bytes())?;
        io::copy(&mut body, &mut server)?;
        Ok(server)
    }
}

/// The head of a request, as it is to be passed on. `None` when the client said nothing.
fn read_head(
    reader: &mut impl io::BufRead,
    client: &mut TcpStream,
) -> io::Result<Option<(Request, String)>> {
    let mut first = String::new();
    if reader.by_ref().take(64 << 10).read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        headers: Vec::new(),
        length: 0,
    };
    let mut head = first;
    loop {
        let mut line = String::new();
        reader.by_ref().take(64 << 10).read_line(&mut line)?;
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let name = name.trim().to_ascii_lowercase();
        if name.is_empty() {
            break;
        }
        let value = value.trim().to_owned();
        request.headers.push((name.clone(), value.clone()));
        match name.as_str() {
            "content-length" => {
                request.length = value.parse().map_err(io::Error::other)?;
            }
            "connection" => continue,
            "expect" => {
                client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                continue;
            }
            _ => {}
        }
        head += &line;
    }
    head += "Connection: close\r\n\r\n";
    Ok(Some((request, head)))
}
