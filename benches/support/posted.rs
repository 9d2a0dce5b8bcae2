//! Requests as a small server on loopback reads them: where they go and what they bring. Their other
//! headers are passed over. The server of the recorded cases reads with it as well.

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpStream,
};

/// A request.
#[derive(Debug)]
pub struct Posted {
    /// Where it goes.
    pub path: String,
    /// What it brings.
    pub body: Vec<u8>,
}

/// The next request on a connection, where there is one.
pub async fn next(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Posted>> {
    let mut first = String::new();
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(said) = line.strip_prefix("content-length:") {
            length = said.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let path = first.split_whitespace().nth(1).unwrap_or_default().to_owned();
    Ok(Some(Posted { path, body }))
}
