//! A server that answers with recorded bytes, in a process of its own: what is asked for stands in
//! the address, `/CASE/CHUNK/CUT/…`. CHUNK is how many bytes are sent at a time, 0 all at once. CUT is
//! `-`, or a number of bytes after which the answer ends: `eN` as if that were all of it, `xN` by
//! breaking the connection. `GET /CASE/seen` gives the body that was last posted for a case.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    case::{self, Case},
    posted::{self, Posted},
};

/// What the tasks share: the cases, and what was posted for each.
struct Stage {
    cases: Vec<(Case, Vec<u8>)>,
    seen: Mutex<BTreeMap<usize, Vec<u8>>>,
}

/// Serves until it is killed; says on its output where.
pub async fn serve(file: &Path) -> Result<(), String> {
    let cases = case::read(file)?;
    let cases = cases.into_iter().map(|case| Ok((case.body()?, case)));
    let cases: Result<Vec<_>, String> = cases.collect();
    let cases = cases?.into_iter().map(|(body, case)| (case, body)).collect();
    let stage = Arc::new(Stage { cases, seen: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{address}").map_err(|error| error.to_string())?;
    out.flush().map_err(|error| error.to_string())?;
    let mut served = JoinSet::new();
    loop {
        let Ok((stream, _from)) = listener.accept().await else { continue };
        let stage = Arc::clone(&stage);
        served.spawn(async move {
            // A client that goes away in the middle is part of the game.
            drop(connection(stream, &stage).await);
        });
        while served.try_join_next().is_some() {}
    }
}

/// What the address asks for.
struct Wish {
    case: usize,
    chunk: usize,
    cut: Option<usize>,
    breaks: bool,
    is_look: bool,
}

fn wish(path: &str) -> Option<Wish> {
    let mut parts = path.trim_start_matches('/').split('/');
    let case = parts.next()?.parse().ok()?;
    let chunk = parts.next()?;
    if chunk == "seen" {
        return Some(Wish { case, chunk: 0, cut: None, breaks: false, is_look: true });
    }
    let cut = parts.next()?;
    let at = cut.get(1..).and_then(|at| at.parse().ok());
    let breaks = cut.starts_with('x');
    Some(Wish { case, chunk: chunk.parse().ok()?, cut: at, breaks, is_look: false })
}

async fn connection(stream: TcpStream, stage: &Stage) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(Posted { path, body }) = posted::next(&mut stream).await? {
        let Some(wish) = wish(&path).filter(|wish| wish.case < stage.cases.len()) else {
            let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await?;
            continue;
        };
        if wish.is_look {
            let seen =
                stage.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&wish.case).cloned();
            let seen = seen.unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", seen.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&seen).await?;
            continue;
        }
        stage.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(wish.case, body);
        if answer(stream.get_mut(), &stage.cases[wish.case], &wish).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends the answer; whether the connection is over with it.
async fn answer(
    stream: &mut TcpStream,
    (case, body): &(Case, Vec<u8>),
    wish: &Wish,
) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Recorded\r\ntransfer-encoding: chunked\r\n", case.status);
    let framing = ["content-length", "transfer-encoding", "connection", "content-encoding"];
    for (name, value) in &case.headers {
        if !framing.contains(&name.to_ascii_lowercase().as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    let sent = &body[..wish.cut.unwrap_or(body.len()).min(body.len())];
    let size = if wish.chunk == 0 { sent.len().max(1) } else { wish.chunk };
    for piece in sent.chunks(size) {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).await?;
    }
    if wish.breaks {
        return Ok(true);
    }
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(false)
}
